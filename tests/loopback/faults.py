"""What can go wrong on purpose: kinds of faults, and when each strikes.

A fault strikes a number of times, at a rate (with a seed), or always; on one path or on all, for one method or all.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from loopback.order import PLAIN, Quirk

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

_UNKNOWN = "Timeout waiting for response from backend server. Send status unknown; execution status unknown."

# kind: a refusal of the account's routes
ORDER_REPLIES: dict[str, tuple[int, str, str]] = {
    kind: (status, "application/json", json.dumps({"code": code, "msg": words}))
    for kind, status, code, words in (
        ("insufficient_balance", 400, -2010, "Account has insufficient balance for requested action."),
        ("duplicate", 400, -2010, "Duplicate order sent."),
        ("account_disabled", 400, -2010, "This action is disabled on this account."),
        ("rejected", 400, -2010, "NEW_ORDER_REJECTED"),
        ("oco_refused", 400, -2010, "The relationship of the prices for the orders is not correct."),
        ("market_closed", 400, -1013, "Market is closed."),
        ("lot_size", 400, -1013, "Filter failure: LOT_SIZE"),
        ("price_filter", 400, -1013, "Filter failure: PRICE_FILTER"),
        ("notional", 400, -1013, "Filter failure: NOTIONAL"),
        ("cancel_rejected", 400, -2011, "Unknown order sent."),
        ("no_such_order", 400, -2013, "Order does not exist."),
        ("status_unknown", 408, -1007, _UNKNOWN),
        ("too_many_orders", 429, -1015, "Too many new orders; current limit is 50 orders per 10 SECOND."),
    )
}  # fmt: skip

# `late`: the reply comes after `seconds`; `partial`: the order fills in `parts`, or `stays` at the first;
# `hidden`: queries do not see the order for `asks` of them, or `hidden_ms`;
# `filled_first`: the order fills, then comes its cancel; `renamed`: the cancelled order has the id of its cancel
ORDER_QUIRKS = ("late", "partial", "hidden", "filled_first", "renamed")
ORDER_FAULTS = (*ORDER_REPLIES, *ORDER_QUIRKS)

CONNECTION_FAULTS = ("no_reply", "close", "reset", "cut_short", "slow_drip")
FAULT_KINDS = (*REPLIES, *ROW_FAULTS, *CONNECTION_FAULTS)


@dataclass(slots=True)
class Fault:
    """One switch. Without `count` and `rate` it strikes always; of several kinds one is drawn each time.

    `after` requests pass first; `path` and `method` are where it strikes; `retry_after` becomes that header.
    `accepted` says whether the exchange does what was asked before the reply goes wrong; if not told, it does when the
    connection breaks, and does not when another reply is given.
    """

    kinds: Sequence[str]
    path: str = "/api/v3/klines"
    count: int | None = None
    rate: float | None = None
    seed: int = 1
    after: int = 0
    retry_after: str | None = None
    method: str | None = None
    accepted: bool | None = None
    seconds: float = 0.2
    parts: int = 3
    stays: bool = False
    asks: int = 0
    hidden_ms: int = 0
    _random: Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        unknown = set(self.kinds) - {*FAULT_KINDS, *ORDER_FAULTS}
        if unknown:
            raise ValueError(f"unknown faults: {sorted(unknown)}; known: {', '.join((*FAULT_KINDS, *ORDER_FAULTS))}")
        self._random = Random(self.seed)

    def is_accepted(self, kind: str) -> bool:
        """Whether the exchange does what was asked when this kind strikes."""
        if self.accepted is not None:
            return self.accepted
        return kind not in REPLIES and kind not in ORDER_REPLIES

    def quirk(self, kind: str) -> Quirk:
        """What the fault does to an order that is accepted."""
        match kind:
            case "partial":
                return Quirk(parts=self.parts, stays=self.stays)
            case "hidden":
                return Quirk(hidden_asks=self.asks, hidden_ms=self.hidden_ms)
            case "renamed":
                return Quirk(renames=True)
            case _:
                return PLAIN

    def strikes(self, path: str, method: str = "GET") -> str | None:
        """The kind that strikes this request, if any; counts the request."""
        if self.path not in (path, "*") or self.method not in (method, None):
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


def fault_from(query: Mapping[str, str]) -> Fault:
    """A fault from texts: kind (several with commas), path, method, count, rate, seed, after, and what kinds take."""
    return Fault(
        kinds=tuple(query["kind"].split(",")),
        path=query.get("path", "/api/v3/klines"),
        count=int(query["count"]) if "count" in query else None,
        rate=float(query["rate"]) if "rate" in query else None,
        seed=int(query.get("seed", "1")),
        after=int(query.get("after", "0")),
        retry_after=query.get("retry_after"),
        method=query.get("method"),
        accepted=query["accepted"] == "1" if "accepted" in query else None,
        seconds=float(query.get("seconds", "0.2")),
        parts=int(query.get("parts", "3")),
        stays=query.get("stays") == "1",
        asks=int(query.get("asks", "0")),
        hidden_ms=int(query.get("hidden_ms", "0")),
    )


LOST_KINDS = ("close", "reset", "cut_short", "http_500", "http_502_html")


def order_faults(
    rate: float, seed: int, kinds: Sequence[str] = LOST_KINDS, path: str = "*", method: str | None = None
) -> list[Fault]:
    """Replies that go wrong at a rate, as often after the exchange did what was asked as before it did."""
    share = 1 - (1 - rate) ** 0.5
    return [
        Fault(kinds, path=path, method=method, rate=share, seed=2 * seed + int(accepted), accepted=accepted)
        for accepted in (True, False)
    ]
