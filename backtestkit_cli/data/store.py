"""The candle store: fetched candles on disk, by exchange, symbol and month.

    <root>/<exchange>/<symbol>/market.json            names, steps, where it came from
    <root>/<exchange>/<symbol>/1m/2023-03.parquet     the candles of a month, written whole
    <root>/<exchange>/<symbol>/1m/cache/              mapped columns; may be deleted at any time

* The same candles give the same bytes, whatever path led to them.
* A damaged month file is refused, never read half; a damaged cache is made again.
"""

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from backtestkit_cli.data.border import SCHEMA, checked
from backtestkit_cli.data.cache import ColumnCache, listing_hash
from backtestkit_cli.data.load import Columns, fingerprint
from backtestkit_cli.data.months import StoredMonth, about_month, month_bytes, read_month
from backtestkit_cli.disk import DISK, Disk, file_name, remove_leftovers, write_atomic
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.errors import DataError, Problem, Source
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.time import MINUTE_MS, TimeRange

MARKET_FILE = "market.json"

_MONTH_FILE = re.compile(r"\d{4}-\d{2}\.parquet\Z")
_FILE_MODE = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One market of the store. `source` says where its candles came from."""

    exchange: str
    symbol: str
    steps: MarketSteps
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the store holds of one market; `candles` reaches from the first open to the last close."""

    exchange: str
    symbol: str
    months: int
    rows: int
    candles: TimeRange | None


class CandleStore:
    """All fetched candles below one folder."""

    def __init__(self, root: Path, *, disk: Disk = DISK) -> None:
        self.root = root
        self._disk = disk

    def folder(self, exchange: str, symbol: str) -> Path:
        """Where a market lives, whether it exists or not."""
        return self.root / file_name(exchange) / file_name(symbol)

    def write_market(self, market: Market) -> None:
        """Note names, steps and origin of a market."""
        text = json.dumps(asdict(market), indent=2, sort_keys=True, allow_nan=False) + "\n"
        self._write(self.folder(market.exchange, market.symbol) / MARKET_FILE, text.encode("utf-8"))

    def has_market(self, exchange: str, symbol: str) -> bool:
        """Whether there is a note about a market."""
        return (self.folder(exchange, symbol) / MARKET_FILE).is_file()

    def market(self, exchange: str, symbol: str) -> Market:
        """Read what is known of a market.

        Raises:
            DataError: the store has no such market, or its note is damaged.
        """
        path = self.folder(exchange, symbol) / MARKET_FILE
        if not self.has_market(exchange, symbol):
            raise DataError(self._unknown(exchange, symbol))
        return _read_market(path)

    def write_month(self, exchange: str, symbol: str, month: str, frame: pl.DataFrame, asked: TimeRange) -> None:
        """Write one month whole: its candles, and the window they answer.

        Raises:
            DataError: the candles are refused at the border.
        """
        candles = checked(frame, where=f"{exchange} {symbol}", anomaly=None)
        self._write(self._month_path(exchange, symbol, month), month_bytes(candles, month, asked))

    def read_month(self, exchange: str, symbol: str, month: str) -> tuple[TimeRange, pl.DataFrame] | None:
        """Read one month: the window asked for, and its candles; None when there is no such file.

        Raises:
            DataError: the file is damaged.
        """
        path = self._month_path(exchange, symbol, month)
        if not path.is_file():
            return None
        about, candles = read_month(path)
        return about.asked, candles

    def months(self, exchange: str, symbol: str) -> list[StoredMonth]:
        """What each month file says about itself, oldest first; reading the candles verifies it.

        Raises:
            DataError: a month file says nothing.
        """
        return [about_month(path) for path in self._month_paths(exchange, symbol)]

    def remove_leftovers(self, exchange: str, symbol: str) -> None:
        """Remove what killed writers of this market left; only for the one who holds its folder."""
        for folder in (self.folder(exchange, symbol), self._months_folder(exchange, symbol)):
            remove_leftovers(folder, disk=self._disk)

    def columns(self, exchange: str, symbol: str) -> Columns:
        """All candles of a market as arrays, mapped from the cache, which is made where it is missing or wrong.

        Raises:
            DataError: the store has no such candles, or a month file is damaged.
        """
        paths = self._month_paths(exchange, symbol)
        if not paths:
            raise DataError(self._unknown(exchange, symbol))
        cache = ColumnCache(self._months_folder(exchange, symbol) / "cache", disk=self._disk)
        made_from = listing_hash(paths)
        columns = cache.read(made_from)
        if columns is None:
            candles = pl.concat([read_month(path)[1] for path in paths]).rechunk()
            columns = Columns._make(column.to_numpy() for column in candles)
            with suppress(OSError):  # a full or read-only disk costs time, not the run
                cache.write(made_from, columns)
        return columns

    def candles(self, exchange: str, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """The 1m candles that open in `[start_ms, end_ms)`.

        Raises:
            DataError: the store has no such candles, or a month file is damaged.
        """
        columns = self.columns(exchange, symbol)
        first, last = (int(np.searchsorted(columns.time, moment)) for moment in (start_ms, end_ms))
        return pl.DataFrame(columns.cut(first, max(first, last))._asdict(), schema=SCHEMA)

    def steps(self, exchange: str, symbol: str) -> MarketSteps:
        """Price and quantity steps as the exchange stated them.

        Raises:
            DataError: the store has no such market.
        """
        return self.market(exchange, symbol).steps

    def end_ms(self, exchange: str, symbol: str) -> int:
        """The close of the last candle; 0 when no month has any.

        Raises:
            DataError: the store has no such candles, or a month file is damaged.
        """
        time = self.columns(exchange, symbol).time
        return int(time[-1]) + MINUTE_MS if len(time) else 0

    def fingerprint(self, exchange: str, symbol: str) -> str:
        """Hash all candles of a market by content."""
        return fingerprint(Candles.from_rows(*self.columns(exchange, symbol)))

    def coverage(self) -> list[Coverage]:
        """What is there, by exchange and symbol.

        Raises:
            DataError: a file of the store is damaged.
        """
        return [
            _coverage(market, self.months(market.exchange, market.symbol))
            for market in sorted(self._markets(), key=lambda market: (market.exchange, market.symbol))
        ]

    def _markets(self) -> list[Market]:
        return [_read_market(path) for path in self.root.glob(f"*/*/{MARKET_FILE}")]

    def _months_folder(self, exchange: str, symbol: str) -> Path:
        return self.folder(exchange, symbol) / "1m"

    def _month_path(self, exchange: str, symbol: str, month: str) -> Path:
        return self._months_folder(exchange, symbol) / f"{month}.parquet"

    def _month_paths(self, exchange: str, symbol: str) -> list[Path]:
        paths = self._months_folder(exchange, symbol).glob("*.parquet")
        return sorted(path for path in paths if _MONTH_FILE.match(path.name))

    def _write(self, path: Path, payload: bytes) -> None:
        self._disk.make_folder(path.parent)
        write_atomic(path, payload, mode=_FILE_MODE, disk=self._disk)

    def _unknown(self, exchange: str, symbol: str) -> Problem:
        return Problem(
            code="no-stored-candles",
            what=f"the candle store holds no candles of {symbol} from {exchange}",
            where=Source(file=str(self.root), symbol=symbol),
            found=", ".join(sorted(f"{market.exchange} {market.symbol}" for market in self._markets())) or "nothing",
            hint=f"backtestkit data fetch --exchange {exchange} --symbol {symbol} --range A..B brings them",
        )


class StoredExchange:
    """One exchange of the store, as a local source of candles."""

    def __init__(self, store: CandleStore, exchange: str) -> None:
        self._store = store
        self._exchange = exchange

    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        """The 1m candles that open in `[start_ms, end_ms)`."""
        return self._store.candles(self._exchange, symbol, start_ms, end_ms)

    def columns(self, symbol: str) -> Columns:
        """All candles of a symbol as arrays."""
        return self._store.columns(self._exchange, symbol)

    def steps(self, symbol: str) -> MarketSteps:
        """Price and quantity steps of the market."""
        return self._store.steps(self._exchange, symbol)

    def end_ms(self, symbol: str) -> int | None:
        """The close of the last candle."""
        return self._store.end_ms(self._exchange, symbol)


def _read_market(path: Path) -> Market:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        market = Market(**(fields | {"steps": MarketSteps(**fields["steps"])}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            Problem(
                code="market-file-damaged",
                what="the note about a market is damaged",
                where=Source(file=str(path)),
                hint="remove the file and fetch again; candles that are there stay",
            )
        ) from error
    return market


def _coverage(market: Market, months: list[StoredMonth]) -> Coverage:
    filled = [(month.first_ms, month.last_ms) for month in months if month.rows]
    firsts = [first for first, _ in filled if first is not None]
    lasts = [last for _, last in filled if last is not None]
    return Coverage(
        exchange=market.exchange,
        symbol=market.symbol,
        months=len(months),
        rows=sum(month.rows for month in months),
        candles=TimeRange(min(firsts), max(lasts) + MINUTE_MS) if firsts and lasts else None,
    )
