"""What a live session does about each fault of an exchange: one table, which the documents show and the tests hold."""

from dataclasses import dataclass
from typing import Literal

Reaction = Literal["takes it", "asks again", "keeps silent", "asks a minute later"]
WORDS: dict[Reaction, str] = {
    "takes it": "takes it; nothing is lost",
    "asks again": "asks again after a second, then each minute",
    "keeps silent": "sends nothing until then, and asks again in a later minute",
    "asks a minute later": "tells it with what to do, and asks again each minute",
}
HEAD = ("The exchange", "The session", "It tells")


@dataclass(frozen=True, slots=True)
class Row:
    """A fault as the documents name it, what a session does, and the code of what it tells when the fault lasts."""

    fault: str
    reaction: Reaction
    told: str | None

    @property
    def is_survived_once(self) -> bool:
        """Whether a fault that strikes one request costs no minute."""
        return self.reaction in ("takes it", "asks again")


def _again(fault: str, told: str) -> Row:
    return Row(fault, "asks again", told)


def _later(fault: str, told: str) -> Row:
    return Row(fault, "asks a minute later", told)


FAULTS = {
    "http_429": _again("asks for fewer requests (429)", "exchange-throttled"),
    "http_429 3": _again("asks for 5 seconds of silence or less", "exchange-throttled"),
    "http_429 30": Row("asks for a longer silence (429)", "keeps silent", "exchange-ban"),
    "http_503_html 30": Row("asks for a longer silence (503)", "keeps silent", "exchange-ban"),
    "http_418": Row("bans this address (418); 2 minutes if it does not say", "keeps silent", "exchange-ban"),
    "http_418 200": Row("bans this address for a time (418)", "keeps silent", "exchange-ban"),
    "http_500": _again("fails (500)", "exchange-unavailable"),
    "http_502_html": _again("fails (502)", "exchange-unavailable"),
    "http_503_html": _again("fails (503)", "exchange-unavailable"),
    "http_403_html": _later("refuses this address (403)", "exchange-forbidden"),
    "http_451": _later("refuses this country (451)", "exchange-location"),
    "authentication": _later("refuses the API key (401)", "exchange-authentication"),
    "clock_skew": _later("refuses the time of the request", "clock-skew"),
    "bad_symbol_400": _later("does not know the symbol (400)", "unknown-symbol"),
    "bad_symbol_200": _later("does not know the symbol (200)", "unknown-symbol"),
    "down": _again("takes no connection", "exchange-unreachable"),
    "close": _again("hangs up", "exchange-unreachable"),
    "reset": _again("resets the connection", "exchange-unreachable"),
    "cut_short": _again("ends in the middle of an answer", "exchange-unreachable"),
    "no_reply": _again("does not answer", "exchange-timeout"),
    "slow_drip": _again("answers a byte at a time", "exchange-timeout"),
    "html_page": _again("answers a page for people", "exchange-answer-unreadable"),
    "empty_body": _again("answers nothing", "exchange-answer-unreadable"),
    "null": _again("answers null", "exchange-answer-unreadable"),
    "empty_object": _again("answers an object instead of rows", "no-candles"),
    "empty_list": _again("answers no rows", "no-candles"),
    "gap": _again("leaves a candle out that another answer has", "candles-disagree"),
    "seconds": _again("sends times in seconds", "broken-candle"),
    "text_time": _again("sends a time that is no number", "broken-candle"),
    "null_row": _again("sends an empty row", "broken-candle"),
    "short_row": _again("sends a row that is too short", "broken-candle"),
    "nan_price": _again("sends a price that is no number", "broken-candle"),
    "infinite_price": _again("sends an infinite price", "broken-candle"),
    "negative_price": _again("sends a negative price", "broken-candle"),
    "duplicate_row": Row("sends a row twice", "takes it", None),
    "reversed": Row("sends the newest row first", "takes it", None),
}


def table() -> list[str]:
    """The lines of the table as Markdown."""
    rows = [(one.fault, WORDS[one.reaction], f"`{one.told}`" if one.told else "–") for one in FAULTS.values()]
    return ["| " + " | ".join(line) + " |" for line in (HEAD, ("---",) * len(HEAD), *rows)]
