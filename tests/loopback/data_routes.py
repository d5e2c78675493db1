"""The routes that need no account: candles, markets, the time."""

from collections.abc import Mapping

from loopback.faults import ROW_FAULTS, Rows
from loopback.market import INTERVALS, MINUTE_MS, Candles, on_wire
from loopback.order import RefusedError

_MOST = 1000


def data_answer(candles: Candles, now_ms: int, path: str, query: Mapping[str, str], fault: str | None) -> object:
    """The answer, ready for JSON; None when there is no such route.

    Raises:
        RefusedError: the symbol or the interval is unknown.
    """
    time = {"serverTime": now_ms}
    match path:
        case "/api/v3/klines":
            return _klines(candles, now_ms, query, fault)
        case "/api/v3/exchangeInfo":
            listed = [market.as_json() for market in candles.markets.values()]
            return {**time, "timezone": "UTC", "rateLimits": [], "exchangeFilters": [], "symbols": listed}
        case "/fapi/v1/exchangeInfo" | "/dapi/v1/exchangeInfo":
            return {"symbols": []}
        case "/api/v3/time":
            return time
        case "/api/v3/ping":
            return {}
        case _:
            return None


def _klines(candles: Candles, now_ms: int, query: Mapping[str, str], fault: str | None) -> Rows:
    symbol, interval = query.get("symbol", ""), query.get("interval", "")
    if symbol not in candles.markets:
        raise RefusedError(-1121, "Invalid symbol.")
    if interval not in INTERVALS:
        raise RefusedError(-1120, "Invalid interval.")
    rows = candles.klines(
        symbol,
        interval,
        now_ms=now_ms,
        limit=min(int(query.get("limit", "500")), _MOST),
        start_ms=int(query["startTime"]) if "startTime" in query else None,
        end_ms=int(query["endTime"]) if "endTime" in query else None,
    )
    wire: Rows = [on_wire(row, INTERVALS[interval] * MINUTE_MS) for row in rows]
    return ROW_FAULTS[fault](wire, len(wire) // 2) if fault in ROW_FAULTS and wire else wire
