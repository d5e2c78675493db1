"""Recorded results of the original engine: reading a case, and running it on ours."""

import csv
import gzip
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

from backtestkit_cli.engine.reference.events import (
    Called,
    CheckRaised,
    Offer,
    ReferenceEvent,
    SignalResult,
    Tape,
    Told,
)
from backtestkit_cli.engine.reference.exchange import CandleList, Exchange, frame_ticks
from backtestkit_cli.engine.reference.loop import backtest, live_tick, together
from backtestkit_cli.engine.reference.progress import SeenLevels
from backtestkit_cli.engine.reference.risk import Question, ReferenceCheck, ReferenceProfile, RiskDesk
from backtestkit_cli.engine.reference.signals import number
from backtestkit_cli.engine.reference.stores import Stores
from backtestkit_cli.engine.reference.stream import ReferenceStream, ReferenceTerms
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import (
    Active,
    Cancelled,
    Closed,
    LevelReached,
    Opened,
    Scheduled,
)
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import Costs
from backtestkit_cli.model.signal import SignalDraft
from backtestkit_cli.model.time import Interval, parse_time

SignalEvents = Scheduled | Opened | Active | Closed | Cancelled | LevelReached
MODES = ("backtest", "interleaved", "live_ticks", "walker")
NOW_MS = 1_790_000_000_000  # after the end of every recorded candle


def read_text(folder: Path, name: str) -> str | None:
    """A file of a case, plain or packed; None where it is not there."""
    plain, packed = folder / name, folder / f"{name}.gz"
    if plain.exists():
        return plain.read_text(encoding="utf-8")
    return gzip.decompress(packed.read_bytes()).decode() if packed.exists() else None


def read_number(text: str) -> float | None:
    return float(text) if text else None


def read_candles(folder: Path, name: str) -> CandleList:
    rows = csv.reader(StringIO(read_text(folder, name) or ""))
    next(rows)
    return CandleList.of([Candle(int(row[0]), *map(float, row[1:6])) for row in rows if row])


@dataclass(frozen=True, slots=True)
class ReplayedRows:
    """Answers the row of a signal file that stands at the asked time."""

    strategy: str
    rows: Mapping[int, Mapping[str, str]]
    is_unnamed: bool

    def __call__(self, when_ms: int, price: float) -> SignalDraft | None:
        row = self.rows.get(when_ms)
        if row is None:
            return None
        given: dict[str, Any] = {
            name: read_number(row[name]) for name in ("price_open", "price_take_profit", "price_stop_loss")
        }
        lifetime: Any = read_number(row["minute_estimated_time"])
        default = "" if self.is_unnamed else f"{self.strategy}-{when_ms}"
        own = row.get("id", default) or None
        return SignalDraft(position=row["position"], lifetime_minutes=lifetime, note=row.get("note"), id=own, **given)


@dataclass(frozen=True)
class Case:
    """A recorded case."""

    folder: Path

    @cached_property
    def terms(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((self.folder / "case.yaml").read_text(encoding="utf-8"))
        return found

    @cached_property
    def expected(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(read_text(self.folder, "expected.json") or "{}")
        return found

    @cached_property
    def signals(self) -> list[dict[str, str]]:
        return list(csv.DictReader(StringIO(read_text(self.folder, "signals.csv") or "")))

    @cached_property
    def candle_files(self) -> dict[str, CandleList]:
        names = {run.get("candles", "candles.csv") for run in self.terms["runs"]}
        return {name: read_candles(self.folder, name) for name in names}

    @cached_property
    def runs(self) -> list[dict[str, Any]]:
        """Which strategy runs on which symbol; a walker runs each of its strategies once."""
        runs: list[dict[str, Any]] = self.terms["runs"]
        if self.mode != "walker":
            return runs
        names = dict.fromkeys(name for walker in self.terms["walkers"] for name in walker["strategies"])
        return [{**runs[0], "strategy": name} for name in names]

    @property
    def mode(self) -> str:
        return str(self.terms["mode"])

    @property
    def is_live(self) -> bool:
        return self.mode == "live_ticks"

    @property
    def is_due(self) -> bool:
        """Whether the case is of a mode that has no driver yet."""
        return self.mode not in MODES

    @property
    def config(self) -> dict[str, Any]:
        """The settings that differ from the original's defaults."""
        return self.terms.get("config") or {}

    @cached_property
    def limits(self) -> Limits:
        given = self.config
        names = {
            "CC_SCHEDULE_AWAIT_MINUTES": "schedule_await_minutes",
            "CC_AVG_PRICE_CANDLES_COUNT": "average_price_candles",
            "CC_MIN_TAKEPROFIT_DISTANCE_PERCENT": "min_take_profit_percent",
            "CC_MIN_STOPLOSS_DISTANCE_PERCENT": "min_stop_loss_percent",
            "CC_MAX_STOPLOSS_DISTANCE_PERCENT": "max_stop_loss_percent",
            "CC_MAX_SIGNAL_LIFETIME_MINUTES": "max_lifetime_minutes",
        }
        return Limits(**{ours: given[name] for name, ours in names.items() if name in given})

    @cached_property
    def costs(self) -> Costs:
        given = self.config
        return Costs(
            fee_percent=given.get("CC_PERCENT_FEE", 0.1), slippage_percent=given.get("CC_PERCENT_SLIPPAGE", 0.1)
        )

    @cached_property
    def ticks(self) -> range:
        frame = self.terms["frame"]
        return frame_ticks(parse_time(frame["start"]), parse_time(frame["end"]), Interval(frame["interval"]), NOW_MS)

    def strategy(self, name: str) -> dict[str, Any]:
        return next(one for one in self.terms["strategies"] if one["name"] == name)


@dataclass(frozen=True)
class Outcome:
    """What our engine made of a case: a stream per strategy and symbol, in the order of the runs.

    `entries` is everything that was told and called over all of them; `exchanges` how the recording names theirs.
    `stores` and `levels` are shared by all streams; only live ones are given the stores.
    """

    case: Case
    stores: Stores
    entries: list[Told | Called] = field(default_factory=list)
    streams: dict[str, ReferenceStream] = field(default_factory=dict)
    exchanges: dict[str, str] = field(default_factory=dict)
    levels: dict[str, dict[str, SeenLevels]] = field(default_factory=dict)

    def told(self, key: str | None = None) -> list[Told]:
        """All events, or those of one stream."""
        return self._by_stream.get(key, []) if key else [one for one in self.entries if isinstance(one, Told)]

    @cached_property
    def _by_stream(self) -> dict[str | None, list[Told]]:
        groups: dict[str | None, list[Told]] = {}
        for one in self.told():
            groups.setdefault(stream_of_event(one.event), []).append(one)
        return groups


def stream_of_event(event: ReferenceEvent) -> str | None:
    if isinstance(event, CheckRaised):
        return None
    owner = event.signal if isinstance(event, SignalEvents) else event
    return f"{owner.strategy}|{owner.symbol}"


def run_case(case: Case) -> Outcome:
    """Run all runs of a case in its mode."""
    outcome = Outcome(case, Stores(now_ms=NOW_MS, found=case.terms.get("persisted") or {}))
    stores = outcome.stores if case.is_live else None
    profiles = {
        one["name"]: ReferenceProfile(one["name"], checks_of(one), stores=stores)
        for one in case.terms.get("risks") or []
    }
    runs = case.runs
    for place, run in enumerate(runs, 1):
        key = f"{run['strategy']}|{run['symbol']}"
        outcome.exchanges[key] = "golden" if len(case.terms["runs"]) == 1 else f"golden_{place}"
        outcome.streams[key] = stream_of(outcome, run, profiles, outcome.exchanges[key])
    drive(case, list(outcome.streams.values()))
    return outcome


def drive(case: Case, streams: Sequence[ReferenceStream]) -> None:
    if case.is_live:
        drive_live(case, streams)
        return
    runs = [backtest(stream, case.ticks, StopAfter(case.terms.get("stop_after"))) for stream in streams]
    if case.mode == "interleaved":
        together(runs)
    else:
        for run in runs:
            for _ in run:
                pass


def drive_live(case: Case, streams: Sequence[ReferenceStream]) -> None:
    stops = case.terms.get("stop_at") or ()
    for when_ms in case.ticks:
        for stream in streams:
            if when_ms in stops:
                stream.stop(when_ms)
            live_tick(stream, when_ms)


@dataclass(slots=True)
class StopAfter:
    """Stops a stream when its n-th result is handed out."""

    limit: int | None
    seen: int = 0

    def __call__(self, stream: ReferenceStream, result: SignalResult) -> None:
        self.seen += isinstance(result, Closed | Cancelled)
        if self.seen == self.limit:
            stream.stop(result.time_ms)


def stream_of(
    outcome: Outcome, run: Mapping[str, Any], profiles: Mapping[str, ReferenceProfile], exchange: str
) -> ReferenceStream:
    case, name, symbol = outcome.case, run["strategy"], run["symbol"]
    strategy = case.strategy(name)
    named = [strategy.get("risk_name"), *(strategy.get("risk_list") or [])]
    rows = {
        int(row["timestamp_ms"]): row
        for row in reversed(case.signals)
        if row.get("strategy") in (None, "", name) and row.get("symbol") in (None, "", symbol)
    }
    return ReferenceStream(
        terms=ReferenceTerms(
            strategy=name,
            symbol=symbol,
            interval_ms=Interval(strategy["interval"]).ms,
            limits=case.limits,
            costs=case.costs,
            exchange_name=exchange,
        ),
        exchange=Exchange(
            source=case.candle_files[run.get("candles", "candles.csv")],
            now_ms=NOW_MS,
            average_candles=case.limits.average_price_candles,
            anomaly_factor=case.config.get("CC_GET_CANDLES_PRICE_ANOMALY_THRESHOLD_FACTOR", 1000),
            anomaly_median_candles=case.config.get("CC_GET_CANDLES_MIN_CANDLES_FOR_MEDIAN", 5),
        ),
        decide=ReplayedRows(name, rows, is_unnamed=bool(case.terms.get("auto_ids"))),
        desk=RiskDesk([profiles[one] for one in named if one]),
        tape=Tape(entries=outcome.entries),
        levels=outcome.levels,
        stores=outcome.stores if case.is_live else None,
    )


def checks_of(profile: Mapping[str, Any]) -> list[ReferenceCheck]:
    return [
        ReferenceCheck(ask=Rule(given), note=given.get("note") if given.get("form") == "object" else None)
        for given in profile.get("validations") or []
    ]


@dataclass(frozen=True, slots=True)
class Rule:
    """A check of a case, as the README of the vectors names it."""

    given: Mapping[str, Any]

    def __call__(self, question: Question) -> object:
        reply = self.given.get("reply", "string")
        if self.given["type"] == "allow":
            return {"empty_string": "", "false": False}.get(reply)
        if not self._refuses(question):
            return None
        text = self.given.get("text", "")
        if reply == "throw":
            raise RuntimeError(text)
        if reply == "object":
            return {"id": self.given.get("id"), "note": text}
        return {} if reply == "object_empty" else text

    def _refuses(self, question: Question) -> bool:
        given, offer = self.given, question.offer
        refusals: dict[str, Callable[[], bool]] = {
            "max_concurrent": lambda: len(question.positions) >= given["limit"],
            "max_per_strategy": lambda: _held_by(question) >= given["limit"],
            "position": lambda: str(offer.position) == given["position"],
            "max_price": lambda: question.price > given["max"],
            "min_rr": lambda: reward_risk(offer, question.price) < given["min"],
        }
        return bool(refusals[given["type"]]())


def _held_by(question: Question) -> int:
    return sum(one.strategy == question.strategy for one in question.positions)


def reward_risk(offer: Offer, price: float) -> float:
    """The way to the take profit over the way to the stop; what is no number compares like NaN."""
    entry = price if offer.price_open is None else offer.price_open
    reward, risk = abs(number(offer.price_take_profit) - entry), abs(entry - number(offer.price_stop_loss))
    return reward / risk if risk else math.inf
