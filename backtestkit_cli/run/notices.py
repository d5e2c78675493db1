"""What listeners are told about a run itself, beside the events of its streams; nothing is made that nobody hears."""

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.result import RunResult, StreamResult
from backtestkit_cli.errors import BacktestkitError
from backtestkit_cli.model.event import CandlesLoaded, FrameStarted, Progress, RunDone, RunFailed, StreamDone
from backtestkit_cli.model.time import MINUTE_MS, Interval
from backtestkit_cli.run.candle_use import stream_end_ms
from backtestkit_cli.run.listen import Audience
from backtestkit_cli.run.plan import Plan, ticks_of
from backtestkit_cli.run.standing import Key


def tell_start(audience: Audience, plan: Plan) -> None:
    """Tell that the frame begins."""
    if audience.wants(FrameStarted):
        audience.tell(
            FrameStarted(
                time_ms=plan.range.start_ms,
                frame=plan.frame,
                start_ms=plan.range.start_ms,
                end_ms=plan.range.end_ms,
                interval=plan.tick,
                ticks=ticks_of(plan),
            )
        )


def tell_candles(audience: Audience, plan: Plan, symbol: str, candles: Candles) -> None:
    """Tell which candles of a symbol are loaded."""
    if audience.wants(CandlesLoaded):
        audience.tell(
            CandlesLoaded(
                time_ms=plan.range.start_ms,
                exchange=plan.exchange,
                symbol=symbol,
                interval=Interval.M1,
                start_ms=candles.start_ms,
                end_ms=candles.end_ms,
                count=len(candles) if candles.present is None else int(candles.present.sum()),
            )
        )


def tell_progress(audience: Audience, plan: Plan, key: Key, minutes: int) -> None:
    """Tell how many minutes of the frame a stream has done."""
    if audience.wants(Progress):
        strategy, symbol = key
        audience.tell(
            Progress(
                time_ms=plan.range.start_ms + minutes * MINUTE_MS,
                exchange=plan.exchange,
                strategy=strategy,
                symbol=symbol,
                done_minutes=minutes,
                total_minutes=plan.range.minutes,
            )
        )


def tell_stream_done(audience: Audience, plan: Plan, key: Key, result: StreamResult) -> None:
    """Tell that a stream is over."""
    if audience.wants(StreamDone):
        strategy, symbol = key
        audience.tell(
            StreamDone(
                time_ms=stream_end_ms(plan.range, result),
                exchange=plan.exchange,
                frame=plan.frame,
                strategy=strategy,
                symbol=symbol,
                trades=len(result.trades),
            )
        )


def tell_failure(audience: Audience, plan: Plan, reached_ms: int, error: Exception) -> None:
    """Tell that the run ends with an error."""
    if audience.wants(RunFailed):
        audience.tell(failure(plan, reached_ms, error))


def failure(plan: Plan, reached_ms: int, error: Exception) -> RunFailed:
    """A run ends with an error."""
    return RunFailed(
        time_ms=reached_ms,
        exchange=plan.exchange,
        frame=plan.frame,
        code=error.code if isinstance(error, BacktestkitError) else "internal",
        what=str(error),
    )


def tell_end(audience: Audience, run: RunResult) -> None:
    """Tell that the run is over."""
    audience.tell(
        RunDone(
            time_ms=max(stream_end_ms(run.range, stream.result) for stream in run.streams),
            run_id=run.run_id,
            exchange=run.exchange,
            frame=run.frame,
            streams=len(run.streams),
            trades=sum(len(stream.result.trades) for stream in run.streams),
        )
    )
