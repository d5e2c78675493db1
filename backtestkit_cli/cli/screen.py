"""A live session for the eye: a table redrawn in place on a terminal, a plain log elsewhere, JSON lines on request."""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, Self

from backtestkit_cli.cli.messages import render_problem
from backtestkit_cli.cli.output import Output
from backtestkit_cli.errors import BacktestkitError
from backtestkit_cli.model.event import Active, Event, Idle
from backtestkit_cli.model.time import MINUTE_MS, iso
from backtestkit_cli.run.live.line import line_of, percent_text, price_text
from backtestkit_cli.run.live.saying import going_on

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from backtestkit_cli.run.live.session import Live
    from backtestkit_cli.run.live.view import StreamView

LINES = 8
COLUMNS = ("Strategy", "Symbol", "Price", "State", "Entry", "to TP", "to SL", "PnL", "Until / next")
SPARED = ("Entry", "Price", "to TP", "to SL", "Until / next")
"""What a narrow terminal does without, the first before the others."""
GAP = 3


class Screen(Protocol):
    """Where a session is shown."""

    def begin(self) -> None: ...
    def event(self, event: Event) -> None: ...
    def note(self, text: str) -> None: ...
    def trouble(self, error: BacktestkitError) -> None: ...
    def minute(self) -> None: ...


@contextmanager
def screen_for(session: "Live", output: Output) -> Iterator[Screen]:
    """The screen that fits where the output goes."""
    if output.as_json or output.width is None:
        yield JsonLines(session, output) if output.as_json else Log(session, output)
        return
    with Redrawn(session, output) as screen:
        yield screen


class JsonLines:
    """Who it is, then each event, but idle and active ones, as one line."""

    def __init__(self, session: "Live", output: Output) -> None:
        self.session, self.output = session, output

    def begin(self) -> None:
        """Say which session it is."""
        session, record = self.session, self.session.record
        _note_made_up(session, self)
        _write(
            self.output,
            {
                "kind": "session",
                "session": record.session,
                "is_resumed": session.is_resumed,
                "missed_minutes": session.missed_minutes,
                "exchange": record.exchange,
                "broker": record.broker,
                "streams": [list(key) for key in session.plan.keys],
                "open": [list(key) for key, one in sorted(session.streams.items()) if one.walk.state.kind != "flat"],
            },
            "",
        )

    def event(self, event: Event) -> None:
        """Write it."""
        from backtestkit_cli.state.session import event_body

        if not isinstance(event, Idle | Active):
            _write(self.output, event_body(event), "")

    def note(self, text: str) -> None:
        """Beside the events."""
        self.output.tell(text)

    def trouble(self, error: BacktestkitError) -> None:
        """Beside the events, as JSON too."""
        problem = error.problems[0]
        self.output.tell(json.dumps({"trouble": problem.code, "what": problem.what, "hint": problem.hint}))

    def minute(self) -> None:
        """Nothing."""


class Log:
    """One line for each event, on stdout; troubles on stderr."""

    def __init__(self, session: "Live", output: Output) -> None:
        self.session, self.output = session, output
        self._has_begun = False

    def begin(self) -> None:
        """Say where the market is none."""
        _note_made_up(self.session, self)

    def event(self, event: Event) -> None:
        """Write it."""
        text = line_of(event)
        if text:
            _write(self.output, None, text)

    def note(self, text: str) -> None:
        """Write it."""
        self.output.tell(text)

    def trouble(self, error: BacktestkitError) -> None:
        """Write it."""
        self.output.tell("\n".join(render_problem(one) for one in error.problems))

    def minute(self) -> None:
        """Say once that it runs."""
        if not self._has_begun:
            self._has_begun = True
            if self.session.is_resumed:
                self.output.tell(f"{_going_on(self.session)}; Ctrl-C stops")
                return
            streams, ways = len(self.session.streams), _ways(self.session)
            self.output.tell(
                f"session {self.session.record.session} runs {ways}: {streams} "
                f"stream{'s' if streams > 1 else ''} on {self.session.plan.exchange}; Ctrl-C stops"
            )


class Redrawn:
    """A table of streams and the newest lines, redrawn every second."""

    def __init__(self, session: "Live", output: Output) -> None:
        from rich.live import Live as Display

        self.session, self.output = session, output
        self.lines: deque[str] = deque(maxlen=LINES)
        self.last_trouble = ""
        self._has_begun = False
        self._console: Console = output.console()
        self._display = Display(get_renderable=self.draw, console=self._console, refresh_per_second=1, screen=False)

    def __enter__(self) -> Self:
        self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._display.stop()

    def begin(self) -> None:
        """Say where the market is none."""
        _note_made_up(self.session, self)

    def event(self, event: Event) -> None:
        """Add a line."""
        text = line_of(event)
        if text:
            self.lines.append(text)

    def note(self, text: str) -> None:
        """Add a line."""
        self.lines.extend(self.output.redactor.clean(text).splitlines())

    def trouble(self, error: BacktestkitError) -> None:
        """Show it until the next one."""
        now = iso(self.session.clock.now_ms())
        self.last_trouble = self.output.redactor.clean(f"{now}  {error.problems[0].what}")

    def minute(self) -> None:
        """Redraw; the first time say what a session that was left goes on with."""
        if self.session.is_resumed and not self._has_begun:
            self.note(_going_on(self.session))
        self._has_begun = True
        self._display.refresh()

    def draw(self) -> "RenderableType":
        """Everything, as it is now."""
        from rich.console import Group
        from rich.text import Text

        session = self.session
        if not session.streams:
            return Text(f"loading candles from {session.plan.exchange} …")
        head = Text(f"session {session.record.session} · ")
        head.append(*(("REAL ORDERS", "bold red") if session.plan.is_real else ("paper",)))
        head.append(*((" · KILL SWITCH ON", "bold red") if session.is_killed else ("",)))
        head.append(f" · {session.plan.exchange} · {self._state()}")
        lines = (Text(text, overflow="ellipsis") for text in self.lines)
        parts: list[RenderableType] = [head, "", self._table(), "", *lines]
        if self.last_trouble:
            parts.append(Text(f"last error: {self.last_trouble}", style="red"))
        return Group(*parts)

    def _state(self) -> str:
        if self.session.asked_to_stop:
            return "stopping; Ctrl-C again leaves at once"
        return f"{datetime.fromtimestamp(self.session.clock.now_ms() / 1000, UTC):%H:%M:%S} UTC · Ctrl-C stops"

    def _table(self) -> "Table":
        """All streams; where they are too wide, without the columns that matter least."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        now_ms = self.session.clock.now_ms()
        rows = [tuple(_cells(view, now_ms)) for view in self.session.views()]
        shown = _fitting([tuple(text for text, _ in row) for row in rows], self._console.width)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for place in shown:
            is_text = COLUMNS[place] in ("Strategy", "Symbol", "State")
            table.add_column(COLUMNS[place], justify="left" if is_text else "right", overflow="fold")
        for row in rows:
            table.add_row(*(Text(*row[place]) for place in shown))
        return table


def _write(output: Output, document: object, text: str) -> None:
    """Write a result; say once that nobody reads what is written."""
    if not output.result(document, text):
        output.tell("nobody reads the events any more; the session goes on")


def _note_made_up(session: "Live", screen: Screen) -> None:
    from backtestkit_cli.config.market_schema import SampleExchange

    if isinstance(session.config.exchanges[session.plan.exchange], SampleExchange):
        screen.note(f"the market of {session.plan.exchange} is made up, whatever the symbol is called")


def _ways(session: "Live") -> str:
    return "with REAL ORDERS" if session.plan.is_real else "on paper"


def _going_on(session: "Live") -> str:
    return going_on(session.record.session, _ways(session), session.missed_minutes, session.views())


def _fitting(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """The places of the columns that fit into a width, with a gap between each two."""
    wide = [GAP + max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    shown = list(range(len(COLUMNS)))
    for name in SPARED:
        if sum(wide[place] for place in shown) - GAP > width:
            shown.remove(COLUMNS.index(name))
    return shown


def _cells(view: "StreamView", now_ms: int) -> Iterator[tuple[str, str]]:
    """Text and style of each column."""
    tone = "" if not view.pnl_percent else "green" if view.pnl_percent > 0 else "red"
    yield view.strategy, ""
    yield view.symbol, ""
    yield price_text(view.price), ""
    yield view.state, "bold" if view.state != "flat" else "dim"
    yield price_text(view.entry), ""
    yield percent_text(view.to_take_profit_percent), ""
    yield percent_text(view.to_stop_loss_percent), ""
    yield percent_text(view.pnl_percent, signed=True), tone
    yield _left(view.until_ms or view.next_decision_ms, now_ms), ""


def _left(time_ms: int | None, now_ms: int) -> str:
    if time_ms is None:
        return "stopped"
    minutes, seconds = divmod(max(0, time_ms - now_ms) // 1000, 60)
    if minutes * MINUTE_MS >= 60 * MINUTE_MS:
        return f"in {minutes // 60} h {minutes % 60:02d} min"
    return f"in {minutes}:{seconds:02d}"
