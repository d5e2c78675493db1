"""The runs whose reports are golden, and the hostile texts that no report may fall for."""

from dataclasses import replace
from typing import Literal

from make import HOUR_MS, START_MS, WEEK, Deal, candle_use, closed, deals, run, stream

from backtestkit_cli.engine.result import RunResult
from backtestkit_cli.engine.trades import trades_of
from backtestkit_cli.measure.timings import Stopwatch, Timing
from backtestkit_cli.model.event import (
    Cancelled,
    CancelReason,
    CloseReason,
    Event,
    LevelReached,
    Opened,
    RiskRefused,
    Scheduled,
)
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.policy import PRESETS, Costs
from backtestkit_cli.model.signal import Signal
from backtestkit_cli.model.time import DAY_MS, Interval, TimeRange
from backtestkit_cli.report.stored import Record, record_of

REASONS = (CloseReason.TAKE_PROFIT, CloseReason.STOP_LOSS, CloseReason.TIME_EXPIRED)


def mixed(count: int, price: float = 23145.678) -> list[Deal]:
    """Deals of both sides that win, lose and expire in turn."""
    made = []
    for place in range(count):
        percent = (2.1, -0.8, 0.1, 1.4, -0.8, -0.1)[place % 6]
        is_long = place % 5 < 3
        deal = Deal(
            pnl=percent - 0.2,
            opened_hours=3.0 * place + 0.25,
            hours=1.5 + place % 3,
            is_long=is_long,
            reason=REASONS[place % 3],
            price_open=price,
            price_close=price * (1 + (percent if is_long else -percent) / 100),
            lag=0.01,
            note="ema cross",
        )
        made.append(deal)
    return made


def winning() -> RunResult:
    """One stream that makes money, with a whole funnel."""
    made = mixed(14)
    made[3] = replace(made[3], ambiguous_minutes=1, at_stake=0.7)
    one = stream(*made, note="averages cross, in the direction of the trend", candles=candle_use(missing_minutes=30))
    funnel = one.result.funnel
    funnel.ticks += 1986
    funnel.busy, funnel.no_price, funnel.warm_up, funnel.no_draft = 70, 2, 12, 1896
    funnel.drafts += 6
    funnel.invalid, funnel.scheduled = 2, 4
    funnel.invalid_by_rule.update({"long_tp_too_close": 2, "long_sl_too_far": 1})
    funnel.cancelled.update({CancelReason.WAIT_OVER: 3, CancelReason.STOP_LEVEL: 1})
    return run(one, costs=Costs(fee_percent=0.1, slippage_percent=0.0))


def portfolio() -> RunResult:
    """Three streams on two symbols, interrupted, with optimistic fills."""
    policy = PRESETS["vwap"]
    nothing = Funnel(ticks=672, warm_up=4, no_draft=668)
    ether = candle_use(fingerprint="0a0b0c0d0e0f" + 52 * "1", price_first=1600.25, price_last=1520.5)
    return run(
        stream(strategy="breakout", funnel=nothing, policy=policy, form="vector"),
        stream(*mixed(40), policy=policy),
        stream(*mixed(8, 1605.5), symbol="ETH/USDT", policy=policy, candles=ether, interval=Interval.H1),
        status="interrupted",
        warnings=("the frame meets 672 of 2016 decision times",),
    )


def without_trade() -> RunResult:
    """A stream whose drafts were all refused."""
    funnel = Funnel(ticks=2016, busy=0, no_draft=2004, drafts=12, invalid=12)
    funnel.invalid_by_rule["long_tp_too_close"] = 12
    return run(stream(funnel=funnel, candles=candle_use(price_first=None, price_last=None)))


def without_loss() -> RunResult:
    """A single trade that won, closed by the end of data, on filled-in minutes."""
    made = replace(deals(2.0)[0], reason=CloseReason.END_OF_DATA, is_bridged=True)
    used = candle_use(data_end_ms=WEEK.end_ms - HOUR_MS, bridged_minutes=9)
    return run(stream(made, candles=used, form="signals", bridged_decisions=1), gap="bridge")


def quarter() -> RunResult:
    """Two streams over 90 days of three calendar months; the end of the range marks a position that is still open."""
    within = TimeRange(START_MS, START_MS + 90 * DAY_MS)
    prices = tuple(23145.678 * (1 + 0.002 * (day % 7 - 3)) for day in range(90))
    used = candle_use(daily_prices=prices, data_end_ms=within.end_ms + 48 * HOUR_MS)
    made = [replace(deal, opened_hours=deal.opened_hours * 14, hours=deal.hours * 12) for deal in mixed(52)]
    return run(
        stream(*made, candles=used), stream(*made[::3], symbol="ETHUSDT", candles=used), range=within, frame="quarter"
    )


def _signal(hours: float, *, is_long: bool = True) -> Signal:
    return closed(Deal(opened_hours=hours, is_long=is_long, price_open=20000.0, id=f"a-{hours:g}")).signal


def _at(hours: float) -> int:
    return START_MS + round(hours * HOUR_MS)


def _refused(hours: float, stage: Literal["decision", "activation"], *, rule: str, why: str = "") -> RiskRefused:
    return RiskRefused(
        time_ms=_at(hours),
        signal=_signal(hours if stage == "decision" else hours - 1),
        stage=stage,
        price=20010.0,
        profile="calm" if rule.startswith("max") else "own",
        rule=rule,
        open_positions=3,
        why=why,
    )


def lifecycle() -> RunResult:
    """Two streams with limit entries, levels and refusals by risk."""
    deal = Deal(pnl=1.8, opened_hours=1, hours=3, price_open=20000.0, price_close=20400.0, id="a-1")
    closing = closed(deal)
    closing = replace(closing, opened_at=_at(1.5))
    levels = [(1.6, "loss", 10, 19960.0), (2.0, "profit", 10, 20050.0), (2.0, "profit", 20, 20085.0)]
    reached: list[Event] = [
        LevelReached(
            time_ms=_at(hours),
            signal=closing.signal,
            side="profit" if side == "profit" else "loss",
            level=level,
            price=price,
        )
        for hours, side, level, price in levels
    ]
    cancels = [(5.0, 7.0, CancelReason.WAIT_OVER, 20100.0), (8.0, 8.25, CancelReason.STOP_LEVEL, None)]
    events: list[Event] = [
        Scheduled(time_ms=_at(1), signal=closing.signal, price=20020.5),
        Opened(time_ms=_at(1.5), signal=closing.signal),
        *reached,
        closing,
    ]
    for start, end, reason, price in cancels:
        signal = _signal(start, is_long=False)
        events.append(Scheduled(time_ms=_at(start), signal=signal, price=19980.0))
        events.append(Cancelled(time_ms=_at(end), signal=signal, price=price, reason=reason))
    events += (
        _refused(9, "decision", rule="max_positions"),
        _refused(10, "decision", rule="strategies/checks.py:trend_only", why="against the trend"),
        Scheduled(time_ms=_at(11), signal=_signal(11), price=20020.5),
        _refused(12, "activation", rule="max_positions"),
        Cancelled(time_ms=_at(12), signal=_signal(11), price=20000.0, reason=CancelReason.RISK),
    )
    funnel = Funnel(ticks=672, busy=20, no_draft=646, drafts=6, risk=2, scheduled=4, activated=1)
    funnel.risk_by_profile.update({"calm": 1, "own": 1})
    funnel.cancelled.update({CancelReason.WAIT_OVER: 1, CancelReason.STOP_LEVEL: 1, CancelReason.RISK: 1})
    funnel.closed.update({CloseReason.TAKE_PROFIT: 1})
    first = stream(deal, funnel=funnel, events=events)
    result = replace(first.result, trades=trades_of([closing]))
    return run(replace(first, result=result), stream(*deals(1.0, -0.5), symbol="ETHUSDT"))


def sized() -> RunResult:
    """Two streams that share a balance, one beside it."""
    costs = Costs(fee_percent=0.1, slippage_percent=0.0)
    first = stream(
        *(replace(deal, quantity=0.2 + place / 100) for place, deal in enumerate(mixed(40))), sizing="careful"
    )
    funnel = first.result.funnel
    funnel.ticks, funnel.drafts, funnel.no_quantity = funnel.ticks + 3, funnel.drafts + 3, 3
    funnel.no_quantity_by_rule["below_step"] = 3
    second = stream(
        *(replace(deal, quantity=1.5) for deal in mixed(8, 1605.5)),
        symbol="ETHUSDT",
        sizing="careful",
        candles=candle_use(fingerprint="0a0b0c0d0e0f" + 52 * "1", price_first=1600.25, price_last=1520.5),
    )
    return run(first, second, stream(*mixed(4), strategy="unsized"), costs=costs, balance=10_000.0)


def timed() -> tuple[Timing, ...]:
    """How long the parts of the lifecycle took, by a clock that ticks as it is told."""
    seconds = [0.0]
    stopwatch = Stopwatch(lambda: seconds[-1])
    parts: list[tuple[str, str | None, str | None, float]] = [
        ("load", None, "BTCUSDT", 0.025),
        *(("decide", "ema-cross", "BTCUSDT", 0.001 * (1 + place)) for place in range(20)),
        ("load", None, "ETHUSDT", 0.03),
        ("decide", "ema-cross", "ETHUSDT", 0.0004),
        ("walk", None, None, 0.4),
        ("measure", None, None, 0.006),
    ]
    for stage, strategy, symbol, took in parts:
        seconds.append(seconds[-1] + 0.0005)
        with stopwatch.piece(stage, strategy, symbol):
            seconds.append(seconds[-1] + took)
    return stopwatch.timings()


def lived() -> Record:
    """The lifecycle with its events and timings."""
    return replace(record_of(lifecycle()), timings=timed())


GOLDEN = {
    "winning": winning,
    "portfolio": portfolio,
    "quarter": quarter,
    "sized": sized,
    "without-trade": without_trade,
    "without-loss": without_loss,
}

MARKS = (
    "| pipe | in | cell |",
    "`code` and ``more``",
    "```\nfence\n```",
    "line\nbreak\r\nand\x0bmore",
    "# heading",
    "## heading ##",
    "- item",
    "+ item",
    "1. first",
    "1) first",
    "> quote",
    "---",
    "===",
    "***",
    "    indented code",
    "\tindented code",
    "**strong** *weak* __strong__ _weak_ ~~gone~~",
    "snake_case_name stays",
    "[link](http://example.com)",
    "![picture](http://example.com/x.png)",
    "[reference][1]\n\n[1]: http://example.com",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- comment",
    "</table>",
    "&lt;b&gt; &amp; &#x3c; &copy;",
    "<http://example.com>",
    "http://example.com www.example.com someone@example.com",
    "https://example.com/?a=b&c=d",
    "\\| \\` \\\\ \\",
    "ends with backslash\\",
    "$x^2$ $$y$$",
    "[red]markup[/red] [bold]",
    "[/]",
    "[link=http://example.com]x[/link]",
    ":smile:",
    "{{ template }} {% raw %}",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]8;;http://example.com\x1b\\x\x1b]8;;\x1b\\",
    "\x9b31mred",
    "bell\x07 back\x08space nul\x00 delete\x7f",
    "\u202eright to left\u202c",
    "\u2066isolated\u2069",
    "zero\u200bwidth\u200djoiner\ufeff",
    "line\u2028separator\u2029here\x85next",
    "half \ud800 of a character",
    "wide 漢字 and 🙂 faces",
    "combining e\u0301 and ẹ́",
    "",
    " ",
    "x" * 300,
)
HOSTILE = tuple(MARKS) + tuple(f"a{mark}b" for mark in MARKS)
