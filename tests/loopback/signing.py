"""Who may ask about the account: a request with an API key and a signature, sent at the exchange's own time.

The signature itself is not checked: there is no second side to prove anything to.
"""

from loopback.listener import Request
from loopback.order import RefusedError

AHEAD_MS, RECV_WINDOW_MS = 1000, 5000


def refuse_stranger(request: Request) -> None:
    """Refuse a request without a key, or without a signature.

    Raises:
        RefusedError: it has none.
    """
    if not request.key:
        raise RefusedError(-2014, "API-key format invalid.", 401)
    if "signature" not in request.query:
        raise RefusedError(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def refuse_other_time(request: Request, now_ms: int) -> None:
    """Refuse a request of a clock that is ahead, or later than its `recvWindow` allows.

    Raises:
        RefusedError: it is.
    """
    sent_ms = int(request.query.get("timestamp", "0"))
    if sent_ms >= now_ms + AHEAD_MS:
        raise RefusedError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - sent_ms > int(request.query.get("recvWindow", RECV_WINDOW_MS)):
        raise RefusedError(-1021, "Timestamp for this request is outside of the recvWindow.")
