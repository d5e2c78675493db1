"""The live session: minute by minute what the backtest does, on the market as it happens.

* It wakes after each minute, asks for the candles that closed, and settles every minute that it has not seen, in order.
  So an outage or a restart changes no exit. Nothing is entered in a minute that is over: its decision is `missed`.
* At an instant: stop requests, closes, activations and cancellations, then the decisions, all of them asked at once
  and applied in order of strategy and symbol, as in the backtest. A strategy has until the next minute to answer, and
  who shares no risk with a slow one does not wait for it.
* Every start is a recovery; a fresh one finds nothing.
* A stop lets open positions come to their end; leaving keeps them, and the next start goes on with them.
* The kill switch cancels entries that wait; nothing is opened while it is on.
* With a broker that sends orders the exchange says what is open: orders are looked at before anything is decided, after
  each decision, and whenever one is due. A symbol whose orders are disputed is left alone, and the session ends so.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from backtestkit_cli.config.merge import Config
from backtestkit_cli.engine.gate import Refusal
from backtestkit_cli.engine.growing import GrowingMarket
from backtestkit_cli.engine.orders.errand import Errand, order_of
from backtestkit_cli.engine.walk import settle_together
from backtestkit_cli.errors import BacktestkitError, DataError, StateError
from backtestkit_cli.model.candle import Candle
from backtestkit_cli.model.event import Active, Event, Idle, key_of
from backtestkit_cli.model.signal import Flat, SignalState, WaitingEntry
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.plugins.ports import CandleSource
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.callbacks import callbacks_of
from backtestkit_cli.run.clock import Clock, WallClock
from backtestkit_cli.run.jobs import Runs
from backtestkit_cli.run.listen import Listeners
from backtestkit_cli.run.live.asking import Asking
from backtestkit_cli.run.live.audience import LiveAudience
from backtestkit_cli.run.live.calls import Caller, GateCalls
from backtestkit_cli.run.live.carrying import LEAVE_SECONDS, Carrying, Learnt
from backtestkit_cli.run.live.deciding import turns
from backtestkit_cli.run.live.endpoint import served
from backtestkit_cli.run.live.feed import ANSWER_SECONDS, Feed
from backtestkit_cli.run.live.hearing import Hearing
from backtestkit_cli.run.live.identity import Place, identity_of
from backtestkit_cli.run.live.keeping import Keeping
from backtestkit_cli.run.live.meter import Meter
from backtestkit_cli.run.live.opening import Opening, market_of, note_start
from backtestkit_cli.run.live.orders import carrying_for
from backtestkit_cli.run.live.people import People, people_of
from backtestkit_cli.run.live.punctuality import Punctuality
from backtestkit_cli.run.live.reporting import Reporting
from backtestkit_cli.run.live.saying import KILL_SWITCH_OFF, KILL_SWITCH_ON, stopping
from backtestkit_cli.run.live.steadiness import Steadiness
from backtestkit_cli.run.live.stream import LiveLedger, LiveStream
from backtestkit_cli.run.live.troubles import Troubles
from backtestkit_cli.run.live.view import StreamView, view_of
from backtestkit_cli.run.plan import LivePlan
from backtestkit_cli.run.risk import ledger_for
from backtestkit_cli.run.sizing import Sizing, history_minutes, prepare_sizing
from backtestkit_cli.run.sources import anomaly_of, is_local, live_source, questions_at_once
from backtestkit_cli.run.standing import Key, Standing
from backtestkit_cli.run.stores import store_for
from backtestkit_cli.run.strategies import prepare
from backtestkit_cli.state.journal import Journal, newest_ms
from backtestkit_cli.state.request import StopRequest
from backtestkit_cli.state.session import SessionRecord, SessionState, event_body

AFTER_CLOSE_MS = 1500
"""How long after the end of a minute its candle is asked for."""
GATES = (
    "stopped",
    "busy",
    "missed",
    "no_price",
    "warm_up",
    "ambiguous",
    "no_draft",
    "errors",
    "invalid",
    "no_quantity",
    "risk",
    "scheduled",
    "opened_at_decision",
)
"""Where a decision time can end, in the order of the funnel."""


@dataclass(slots=True, kw_only=True, eq=False)
class Live:
    """One live session. `on_trouble` is told of what goes wrong while it goes on, `on_minute` when a minute is done,
    `on_asked` of requests from other terminals, `on_note` of what else people should read. `on_begin` is
    told before the first event. `missed_minutes` are those since a session was last seen that `is_resumed`.

    `after_close_ms` is how long after the end of a minute its candle is asked for, `answer_seconds` how long all wait
    for one symbol.
    """

    config: Config
    plan: LivePlan
    registry: Registry
    logs: Path
    folder: Path
    clock: Clock = field(default_factory=WallClock)
    listeners: Listeners = field(default_factory=Listeners)
    runs: Runs = field(default_factory=Runs)
    on_trouble: Callable[[BacktestkitError], None] = lambda _: None
    on_minute: Callable[[], None] = lambda: None
    on_asked: Callable[[StopRequest], None] = lambda _: None
    on_note: Callable[[str], None] = lambda _: None
    on_begin: Callable[[], None] = lambda: None
    after_close_ms: int = AFTER_CLOSE_MS
    answer_seconds: float = ANSWER_SECONDS
    standing: Standing = field(default_factory=Standing)
    streams: dict[Key, LiveStream] = field(default_factory=dict)
    record: SessionRecord = field(init=False)
    asked_to_leave: bool = False
    asked_to_stop: bool = False
    leaves_at_stop: bool = False
    stop_at_ms: int | None = None
    is_killed: bool = False
    is_resumed: bool = False
    missed_minutes: int | None = None
    _is_stopping: bool = False
    _noted_stop_ms: int | None = None
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop | None = None
    _audience: LiveAudience = field(init=False)
    _ledger: LiveLedger = field(init=False)
    _keeping: Keeping = field(init=False)
    _people: People = field(default_factory=lambda: People((), str))
    _journal: Journal = field(init=False)
    _reporting: Reporting = field(init=False)
    _meter: Meter = field(init=False)
    _feed: Feed = field(init=False)
    _steadiness: Steadiness = field(init=False)
    _troubles: Troubles = field(init=False)
    _punctuality: Punctuality = field(default_factory=Punctuality)
    _carrying: Carrying | None = None
    _watching: "asyncio.Task[None] | None" = None
    _lost: StateError | None = None
    _callers: dict[str, Caller] = field(default_factory=dict)
    _gate: GateCalls = field(init=False)
    _markets: dict[str, GrowingMarket] = field(default_factory=dict)

    def stop(self) -> None:
        """Open nothing more, cancel waiting entries, and end when the open positions have; from any thread.

        With `leaves_at_stop` positions are left open at once.
        """
        self.asked_to_stop, self.asked_to_leave = True, self.asked_to_leave or self.leaves_at_stop
        self.wake()

    def leave(self) -> None:
        """End now; positions stay open in the state, and the next start goes on with them. From any thread."""
        self.asked_to_leave = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._hurry)

    def stop_after(self, after_ms: int) -> None:
        """Stop by itself after a time."""
        self.stop_at_ms = self.clock.now_ms() + after_ms
        self.wake()

    def wake(self) -> None:
        """Look at once what there is to do; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    def _hurry(self) -> None:
        """Wait for no minute and no answer any more."""
        self._woken.set()
        if hasattr(self, "_feed"):
            self._feed.give_up()

    def run(self) -> None:
        """Run until it is asked to stop.

        Raises:
            UsageError: another program works in the state folder.
            StateError: state is damaged, or belongs to other settings.
            ConfigError, DataError, ExchangeError: it cannot begin.
        """
        for _ in self:
            pass

    def __iter__(self) -> Iterator[Event]:
        """Run, and tell each event as it happens.

        Raises:
            BacktestkitError: as `run`.
        """
        happening = self.events()
        with asyncio.Runner() as runner:
            try:
                while True:
                    try:
                        yield runner.run(_next(happening))
                    except StopAsyncIteration:
                        return
            finally:
                runner.run(happening.aclose())

    def views(self) -> tuple[StreamView, ...]:
        """Each stream as it is just now, in order."""
        now_ms = self.clock.now_ms()
        return tuple(view_of(self.streams[key], now_ms) for key in sorted(self.streams))

    @property
    def journal_path(self) -> Path:
        """Where the journal is."""
        return self._journal.path

    async def events(self) -> AsyncGenerator[Event, None]:
        """Run inside an event loop.

        Raises:
            BacktestkitError: as `run`.
        """
        self._loop, self._woken = asyncio.get_running_loop(), asyncio.Event()
        self._steadiness = Steadiness(self.clock)
        self._troubles = Troubles(self.clock, self.on_trouble, self._taken_over)
        store = store_for(self.config, self.folder, self.clock.now_ms, self.registry)
        with store.held():
            self.runs.running.append(self)
            holder = store.holder()
            state, run = SessionState(store), holder.word if holder else ""
            try:
                async with self._heard(state, run):
                    async for event in self._happen(state, run, store.warnings):
                        yield event
            except Exception as error:
                how = "ended with an error" if self.streams else "did not begin"
                self._people.stopped(f"the session {how}: {error}")
                raise
            finally:
                self.runs.running.remove(self)
                self._close()

    @asynccontextmanager
    async def _heard(self, state: SessionState, run: str) -> AsyncIterator[None]:
        """Other terminals are heard inside, and Prometheus is answered."""
        self._meter, port = Meter(self.clock), self.config.settings.metrics.port
        hearing = Hearing(self, state, run, self.on_asked, self._troubles.alarm)
        listening = asyncio.create_task(hearing.listen())
        where = self.config.where("settings", "metrics", "port")
        try:
            with nullcontext() if port is None else served(port, self._meter.text, where):
                yield
        finally:
            listening.cancel()

    async def _happen(self, state: SessionState, run: str, warnings: list[str]) -> AsyncIterator[Event]:
        async for event in self._begin(state, run):
            yield event
        self._troubles.of_store(warnings)
        self._look_at_switch()
        async for event in self._carried():
            yield event
        while not self.asked_to_leave:
            async for event in self._catch_up():
                yield event
            for event in chain(self._take_stop(), self._take_kill()):
                yield event
            async for event in self._carried():
                yield event
            if self._is_over():
                break
            self._troubles.look()
            self._reporting.minute()
            self._meter.minute(self.views(), self._feed.asking.asked)
            self.on_minute()
            async for event in self._until_next_minute():
                yield event
        if self._lost is not None:
            raise self._lost
        async for event in self._parted():
            yield event
        self._end(state)

    # how it begins

    async def _begin(self, state: SessionState, run: str) -> AsyncIterator[Event]:
        plan, config = self.plan, self.config
        self._people = self._troubles.people = people_of(config)
        strategies = {name: prepare(config, name, self.registry) for name in plan.strategies}
        sizings = self._ready_ledger(state)
        minutes, place = history_minutes(strategies, sizings), Place(self.logs, self.folder)
        self.record, records = identity_of(config, plan, state, minutes, self.clock.now_ms(), place)
        seen_ms = self._open_journal()
        self._keeping.session = self.record.session
        self._keeping.restore_money()
        source = self._open_markets()
        opening = Opening(config, plan, self.record, self._ledger, self._audience)
        for symbol in plan.symbols:
            start_ms = min(self.record.history_start_ms.values())
            self._markets[symbol] = await market_of(config, plan, self._feed, symbol, start_ms, self._present_ms())
        for key in plan.keys:
            market, steps = self._markets[key[1]], await self._feed.steps(key[1])
            stream = opening.stream(key, strategies[key[0]], sizings[key[0]], records[key], market, steps)
            stream.walk.tells_idle, stream.walk.tells_active = self._wants_quiet(Idle), self._wants_quiet(Active)
            self.streams[key] = stream
        if plan.is_real:
            self._carrying = await carrying_for(
                config, source, state.store, self.streams, self.clock, self._troubles.of_orders, self._note_order
            )
            self._watching = asyncio.create_task(self._carrying.watch())
        self.record = replace(self.record, run=run)
        state.begin(self.record)
        self._note_start({name: strategy.form for name, strategy in strategies.items()})
        if self.is_resumed and seen_ms is not None:
            self.missed_minutes = max(0, self._present_ms() // MINUTE_MS - 1 - seen_ms // MINUTE_MS)
        self.on_begin()
        for record in records.values():
            for event in record.untold:
                self._tell(event)
                yield event
            if record.untold:
                self._keeping.told(self.streams[record.strategy, record.symbol])

    def _ready_ledger(self, state: SessionState) -> dict[str, Sizing | None]:
        """Make the ledger with all that is asked about an entry; the sizing of each strategy."""
        plan, config, seconds = self.plan, self.config, self.config.settings.limits.signal_seconds
        self._gate = GateCalls(self.clock, seconds, self._troubles.of_call, lambda: self.asked_to_leave)
        callbacks = callbacks_of(config, self.registry, strategies=plan.strategies, exchange=plan.exchange, frame=None)
        self._audience = LiveAudience(
            "live" if plan.is_real else "paper",
            callbacks,
            self.listeners,
            exchange=plan.exchange,
            frame="live",
            seconds=seconds,
            on_trouble=self._troubles.of_listener,
        )
        base = ledger_for(config, plan.strategies, self.registry, self._audience, self._gate.watched)
        self._ledger = LiveLedger(base.profiles, account=base.account)
        self._keeping = Keeping(state, self._ledger, self._troubles.alarm, is_carried=plan.is_real)
        return {name: prepare_sizing(config, name, self.registry, self._gate.watched) for name in plan.strategies}

    def _open_journal(self) -> int | None:
        """Open the journal of the session; when it was last seen, if it is not a new one."""
        folder = self.logs / "live" / self.record.session
        self._reporting = Reporting(folder, self.config, lambda error: self._troubles.show("", error))
        self.is_resumed, seen_ms = bool(self.record.run), newest_ms(folder)
        self._journal = self._troubles.journal = Journal(folder, self._heard_line)
        return seen_ms

    def _open_markets(self) -> CandleSource:
        """Make ready who is asked for candles, and for decisions."""
        plan, config, seconds = self.plan, self.config, self.config.settings.limits.signal_seconds
        source, schema = live_source(config, plan.exchange, self.registry, self.clock), config.exchanges[plan.exchange]
        self._feed = Feed(
            source,
            not is_local(schema),
            anomaly_of(config),
            self._troubles.tell,
            asking=Asking(min(questions_at_once(schema), len(plan.symbols))),
            seconds=self.answer_seconds,
            on_late=self._woken.set,
        )
        self._callers = {name: Caller(f"strategy {name}", seconds, self._troubles.of_call) for name in plan.strategies}
        return source

    def _note_start(self, forms: Mapping[str, str]) -> None:
        """Note how it began, and the candles that its prices and its positions stand on."""
        note_start(self._journal, self.config, self.plan, self.record, self._markets, forms, self.clock.now_ms())
        window_ms = (self.config.settings.limits.average_price_candles - 1) * MINUTE_MS
        for symbol, market in self._markets.items():
            settled_ms = min(one.at_ms for one in self.streams.values() if one.market is market)
            for candle in market.since(settled_ms - window_ms):
                self._note_candle(symbol, candle)

    def _heard_line(self, line: Mapping[str, Any]) -> None:
        self._reporting.take(line)
        self._meter.take(line)

    def _note_candle(self, symbol: str, candle: Candle) -> None:
        told = list(candle[1:])
        self._journal.add("candle", candle.time, symbol=symbol, candle=told, now_ms=self.clock.now_ms())

    def _note_order(self, key: Key, errand: Errand) -> None:
        """Note how far the orders of a stream are; what they are stands in the state."""
        order = order_of(errand)
        told = {} if order is None else {"order": order.order.client_id, "state": order.state.kind}
        now_ms = self.clock.now_ms()
        self._journal.add("order", now_ms, strategy=key[0], symbol=key[1], phase=errand.kind, **told)

    def _wants_quiet(self, topic: type) -> bool:
        return self._audience.wants(topic) or self._people.wants("idle" if topic is Idle else "active")

    # minute by minute

    async def _until_next_minute(self) -> AsyncIterator[Event]:
        """Wait; look at the orders that are due meanwhile."""
        now_ms = self.clock.now_ms()
        next_ms = now_ms - now_ms % MINUTE_MS + MINUTE_MS + self.after_close_ms
        if self.stop_at_ms is not None and now_ms < self.stop_at_ms:
            next_ms = min(next_ms, self.stop_at_ms)
        while not self._woken.is_set() and self.clock.now_ms() < next_ms:
            wake_ms = self._carrying.wake_ms(next_ms, self.clock.now_ms()) if self._carrying else next_ms
            await self.clock.wait_until(wake_ms, self._woken)
            async for event in self._carried():
                yield event
            if self.clock.now_ms() < wake_ms:
                break  # the clock was set back: the minute has passed all the same
        self._woken.clear()
        if (jump := self._steadiness.jump()) is not None:
            self._punctuality.jumped()
            self._troubles.tell("", DataError(jump))

    async def _catch_up(self) -> AsyncIterator[Event]:
        """Take the candles that came, and settle every instant that they end."""
        known_ms = {symbol: market.known_ms for symbol, market in self._markets.items()}
        came = await self._feed.newer(known_ms, self._present_ms())
        if (wrong := self._punctuality.look(self.clock.now_ms(), self._feed.ahead_ms, came)) is not None:
            self._troubles.tell("", DataError(wrong))
        for symbol, newer in came.items():
            market = self._markets[symbol]
            if not newer:
                self._journal.add("no_candle", self.clock.now_ms(), symbol=symbol)
            for candle in newer:
                self._note_candle(symbol, candle)
                if market.add(candle):
                    for stream in self.streams.values():
                        if stream.market is market:
                            stream.take_room()
        while not self.asked_to_leave and (due := self._due()):
            time_ms = due[0].at_ms + MINUTE_MS
            async for event in self._instant(time_ms, due):
                yield event
        self._keeping.try_again()
        self._journal.flush()

    def _due(self) -> list[LiveStream]:
        """The streams that have an instant to settle, those of the earliest."""
        late = [one for one in self.streams.values() if one.at_ms < one.market.known_ms]
        first_ms = min((one.at_ms for one in late), default=0)
        return sorted((one for one in late if one.at_ms == first_ms), key=lambda one: one.key)

    async def _instant(self, time_ms: int, streams: Sequence[LiveStream]) -> AsyncIterator[Event]:
        is_stale = self.clock.now_ms() - time_ms >= MINUTE_MS
        self._ledger.closed_for = self._closed_for(is_stale=is_stale)
        self._gate.until_ms = time_ms + 2 * MINUTE_MS - self.after_close_ms
        before = {one.key: one.walk.state for one in streams}
        for one in streams:
            one.at_ms, one.walk.is_stale = time_ms, is_stale
            one.walk.funnel.ticks += one.walk.is_tick(time_ms)
        settled = tuple(settle_together([one.walk for one in streams], time_ms))
        for event in self._kept(streams, before, settled):
            yield event
        async for event in self._carried():
            yield event
        ticking = [one for one in streams if one.walk.is_tick(time_ms)]
        left_ms = self._gate.until_ms - self.clock.now_ms()
        seconds = max(1.0, min(left_ms, MINUTE_MS) / 1000)
        async for one in turns(time_ms, ticking, self._callers, self._ledger.is_joined, seconds):
            self._ledger.closed_for = self._closed_for(is_stale=is_stale)
            async for event in self._decided(one, time_ms):
                yield event
            async for event in self._carried():
                yield event

    async def _carried(self) -> AsyncIterator[Event]:
        """What the exchange did, where one carries out what is decided here."""
        if self._carrying is None:
            return
        if self._watching is not None and self._watching.done():
            self._watching.result()  # it ends by an error alone
        for event in self._learnt(await self._carrying.work()):
            yield event
        self._ledger.closed_symbols = self._carrying.closed_symbols

    def _learnt(self, learnt: Sequence[Learnt]) -> Iterator[Event]:
        for one in learnt:
            yield from self._kept([one.stream], {one.stream.key: one.before}, one.events)

    async def _decided(self, stream: LiveStream, time_ms: int) -> AsyncIterator[Event]:
        walk, funnel = stream.walk, stream.walk.funnel
        state, counts, short = walk.state, [getattr(funnel, gate) for gate in GATES], funnel.short_history
        stream.decided_ms = time_ms
        if self._carrying is None:
            events = tuple(walk.decide(time_ms))
        else:  # a sizing or a check that thinks holds up no look at the orders
            events = await asyncio.to_thread(lambda: tuple(walk.decide(time_ms)))
        passed = [gate for gate, count in zip(GATES, counts, strict=True) if getattr(funnel, gate) != count]
        gate = passed[-1] if passed else "stopped"
        more: dict[str, Any] = {"short": True} if funnel.short_history != short else {}
        if gate == "invalid":
            more["draft"] = stream.drafted
        self._journal.add("tick", time_ms, strategy=stream.key[0], symbol=stream.key[1], gate=gate, **more)
        for event in self._kept([stream], {stream.key: state}, events):
            yield event

    def _kept(
        self, streams: Sequence[LiveStream], before: Mapping[Key, SignalState], events: Sequence[Event]
    ) -> Iterator[Event]:
        """Keep what happened in each stream, then tell it in its order."""
        told = list(events)
        changed = []
        for one in streams:
            own = tuple(event for event in events if key_of(event) == one.key)
            kept = self._keeping.keep(one, before[one.key], own)
            if kept != own:
                told = [event for event in told if key_of(event) != one.key] + list(kept)
            changed += [one] if any(not isinstance(event, Idle | Active) for event in kept) else []
        for event in told:
            self._tell(event)
            yield event
        if changed:
            self._journal.flush()  # what was told stands in the journal, whatever happens then
        for one in changed:
            self._keeping.told(one)

    def _tell(self, event: Event) -> None:
        if not isinstance(event, Idle | Active):
            self._journal.add("event", event.time_ms, event=event_body(event))
        self.standing.take(key_of(event), event)
        self._audience.tell(event)
        self._people.event(event)

    def _closed_for(self, *, is_stale: bool) -> Refusal | None:
        """What forbids every entry, if anything."""
        if is_stale:
            return Refusal("session", "stale_minute", 0, "the minute was over when it was learnt of")
        if not self._keeping.is_whole:
            return Refusal("session", "state_not_kept", 0, "the state of a position could not be written yet")
        try:
            if self._keeping.state.is_killed():
                return Refusal("session", "kill_switch", 0, "the kill switch is on")
        except StateError as error:
            self._troubles.alarm(error)
            return Refusal("session", "kill_switch", 0, "whether the kill switch is on cannot be read")
        return self._carrying.closed_for() if self._carrying else None

    # how it ends

    def _take_stop(self) -> Iterator[Event]:
        now_ms = self.clock.now_ms()
        self._begin_stop(now_ms)
        for stream in sorted(self.streams.values(), key=lambda one: one.key):
            walk = stream.walk
            if (self.asked_to_stop or self.standing.is_stop_asked(stream.key)) and walk.stop_ms is None:
                before = walk.state
                walk.is_stop_asked = True
                yield from self._kept([stream], {stream.key: before}, tuple(walk.stop(now_ms)))
                self._journal.add("stop", now_ms, strategy=stream.key[0], symbol=stream.key[1])

    def _begin_stop(self, now_ms: int) -> None:
        """Note when it stops by itself; say once that it stops, and what it waits for."""
        if self.stop_at_ms != self._noted_stop_ms:
            self._noted_stop_ms = self.stop_at_ms
            self._journal.add("stops_at", now_ms, stop_at_ms=self.stop_at_ms)
            self._journal.flush()
        is_by_itself = not self.asked_to_stop and self.stop_at_ms is not None and now_ms >= self.stop_at_ms
        if is_by_itself:
            self.stop()
        if self.asked_to_stop and not self._is_stopping:
            self._is_stopping = True
            self._journal.add("stopping", now_ms)
            self._journal.flush()
            text = stopping(self.views(), leaves=self.leaves_at_stop)
            self._people.note(("stopped",), "stopping", text)
            if is_by_itself:  # who asked is answered at once
                self.on_note(text)

    def _look_at_switch(self) -> None:
        """Note that the kill switch was thrown or released, and say so."""
        try:
            is_killed = self._keeping.state.is_killed()
        except StateError as error:
            self._troubles.alarm(error)
            return
        if is_killed != self.is_killed:
            self.is_killed = is_killed
            self._journal.add("kill_switch", self.clock.now_ms(), is_on=is_killed)
            self._journal.flush()
            text = KILL_SWITCH_ON if is_killed else KILL_SWITCH_OFF
            self._people.note(("stopped", "error"), "kill switch", text)
            self.on_note(text)

    def _take_kill(self) -> Iterator[Event]:
        """Give up the entries that wait while the kill switch is on."""
        self._look_at_switch()
        if not self.is_killed:
            return
        waiting = [one for one in self.streams.values() if isinstance(one.walk.state, WaitingEntry)]
        now_ms = self.clock.now_ms()
        for stream in sorted(waiting, key=lambda one: one.key):
            before = stream.walk.state
            yield from self._kept([stream], {stream.key: before}, tuple(stream.walk.give_up(now_ms)))
            self._journal.add("killed", now_ms, strategy=stream.key[0], symbol=stream.key[1])

    async def _parted(self) -> AsyncIterator[Event]:
        """Nothing that may be filled is left at the exchange, as far as that can be had in time."""
        if self._carrying is None:
            return
        if unsettled := self._carrying.unsettled:
            names = ", ".join("{} on {}".format(*key) for key in unsettled)
            self.on_note(f"waits up to {LEAVE_SECONDS:g} s for the exchange, with the orders of {names}")
        for event in self._learnt(await self._carrying.leave()):
            yield event

    def _is_over(self) -> bool:
        disputed = self._carrying.desk.disputed if self._carrying else {}
        is_flat = all(self._is_flat(key) or key in disputed for key in self.streams)
        return is_flat and all(one.walk.stop_ms is not None for one in self.streams.values())

    def _end(self, state: SessionState) -> None:
        is_over = self._is_over() and self._keeping.is_whole and all(map(self._is_flat, self.streams))
        self._journal.add("end", self.clock.now_ms(), is_over=is_over)
        if is_over:
            state.end(self.record)
        held = ", ".join("{} on {}".format(*key) for key in sorted(self.streams) if not self._is_flat(key))
        end = f"was left with {held} open; the next start goes on" if held else "has ended with nothing open"
        self._people.stopped(f"session {self.record.session} {end}")
        if self._carrying:
            self._carrying.refuse_disputed()

    def _is_flat(self, key: Key) -> bool:
        return isinstance(self.streams[key].walk.state, Flat)

    def _close(self) -> None:
        for caller in self._callers.values():
            caller.close()
        if hasattr(self, "_gate"):
            self._gate.close()
        if hasattr(self, "_audience"):
            self._audience.close()
        self._people.close()
        self._troubles.look()
        if hasattr(self, "_reporting"):
            self._reporting.close()
        if hasattr(self, "_feed"):
            self._feed.close()
        if self._watching is not None:
            self._watching.cancel()
        if self._carrying:
            self._carrying.thread.close()
        if hasattr(self, "_journal"):
            self._journal.close()

    def _present_ms(self) -> int:
        """The end of the last whole minute."""
        now_ms = self.clock.now_ms()
        return now_ms - now_ms % MINUTE_MS

    def _taken_over(self, error: StateError) -> None:
        """Another program goes on with the state: end."""
        self._lost = error
        self.leave()


async def _next(happening: AsyncIterator[Event]) -> Event:
    return await anext(happening)
