"""What can go wrong on purpose: kinds of faults, and when each strikes.

A fault strikes a number of times, at a rate (with a seed), or always; on one path or on all.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

HTML = "<html><head><title>Attention required</title></head><body>not the answer you asked for</body></html>"

# kind: status, content type, body
REPLIES: dict[str, tuple[int, str, str]] = {
    "http_429": (429, "application/json", json.dumps({"code": -1003, "msg": "Too many requests."})),
    "http_418": (418, "application/json", json.dumps({"code": -1003, "msg": "Way too many requests; IP banned."})),
    "http_500": (500, "text/plain", "Internal Server Error"),
    "http_502_html": (502, "text/html", HTML),
    "http_503_html": (503, "text/html", HTML),
    "http_403_html": (403, "text/html", HTML),
    "http_451": (451, "application/json", json.dumps({"code": 0, "msg": "Restricted location."})),
    "html_page": (200, "text/html", HTML),
    "empty_body": (200, "application/json", ""),
    "null": (200, "application/json", "null"),
    "empty_object": (200, "application/json", "{}"),
    "empty_list": (200, "application/json", "[]"),
    "bad_symbol_200": (200, "application/json", json.dumps({"code": -1121, "msg": "Invalid symbol."})),
    "bad_symbol_400": (400, "application/json", json.dumps({"code": -1121, "msg": "Invalid symbol."})),
    "authentication": (
        401, "application/json", json.dumps({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."})
    ),
    "clock_skew": (
        400,
        "application/json",
        json.dumps({"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}),
    ),
}  # fmt: skip

Rows = list[list[object] | None]


def _changed(place: int, value: object) -> Callable[[Rows, int], Rows]:
    def change(rows: Rows, row: int) -> Rows:
        bent = list(rows[row] or [])
        bent[place] = value
        return [*rows[:row], bent, *rows[row + 1 :]]

    return change


def _in_seconds(rows: Rows, row: int) -> Rows:
    return [[int(str(items[0])) // 1000, *items[1:]] if items else items for items in rows]


# kind: what becomes of the rows when the middle one is bent
ROW_FAULTS: dict[str, Callable[[Rows, int], Rows]] = {
    "duplicate_row": lambda rows, row: [*rows[: row + 1], *rows[row:]],
    "reversed": lambda rows, row: rows[::-1],
    "gap": lambda rows, row: [*rows[:row], *rows[row + 1 :]],
    "text_time": _changed(0, "yesterday"),
    "null_row": lambda rows, row: [*rows[:row], None, *rows[row + 1 :]],
    "short_row": lambda rows, row: [*rows[:row], (rows[row] or [])[:3], *rows[row + 1 :]],
    "nan_price": _changed(4, "NaN"),
    "infinite_price": _changed(2, "Infinity"),
    "negative_price": _changed(3, "-5"),
    "seconds": _in_seconds,
}

CONNECTION_FAULTS = ("no_reply", "close", "reset", "cut_short", "slow_drip")
FAULT_KINDS = (*REPLIES, *ROW_FAULTS, *CONNECTION_FAULTS)


@dataclass(slots=True)
class Fault:
    """One switch. Without `count` and `rate` it strikes always; of several kinds one is drawn each time.

    `after` requests pass first; `path` is where it strikes; `retry_after` becomes the header of that name.
    """

    kinds: Sequence[str]
    path: str = "/api/v3/klines"
    count: int | None = None
    rate: float | None = None
    seed: int = 1
    after: int = 0
    retry_after: str | None = None
    _random: Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        unknown = set(self.kinds) - set(FAULT_KINDS)
        if unknown:
            raise ValueError(f"unknown faults: {sorted(unknown)}; known: {', '.join(FAULT_KINDS)}")
        self._random = Random(self.seed)

    def strikes(self, path: str) -> str | None:
        """The kind that strikes this request, if any; counts the request."""
        if self.path not in (path, "*"):
            return None
        if self.after > 0:
            self.after -= 1
            return None
        if self.count is not None:
            self.count -= 1
            if self.count < 0:
                return None
        if self.rate is not None and self._random.random() >= self.rate:
            return None
        return self._random.choice(list(self.kinds))
