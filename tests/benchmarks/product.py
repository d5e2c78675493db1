"""The product path in one process: decide, run, tell listeners, statistics, and the report as markdown and JSON.

Rules kept here:
- it begins with candles in memory, as the bare engine does; what loading found out about them is known;
- what the program remembers of a run before is forgotten;
- every signal event but idle and active ones has a listener.
"""

from dataclasses import replace

from backtestkit_cli.engine.note import signal_id
from backtestkit_cli.engine.result import RunResult, StreamResult
from backtestkit_cli.model.event import Cancelled, Closed, Opened, Scheduled
from backtestkit_cli.report.as_json import json_text
from backtestkit_cli.report.build import build
from backtestkit_cli.report.markdown import markdown
from backtestkit_cli.run.listen import Audience, Listeners
from benchmarks.stream import Stream
from benchmarks.worker import Run


def product(one: Stream) -> Run:
    """Prepare the path of one stream; answers how many trades were told."""
    whole = one.plan.run()
    told: list[Closed] = []
    listeners = Listeners()
    listeners.on(Scheduled | Opened | Cancelled, lambda _event: None)
    listeners.on(Closed, told.append)
    audience = Audience("backtest", listeners, exchange=whole.exchange, frame=whole.frame)

    def run() -> int:
        told.clear()
        signal_id.cache_clear()
        result = one.result()
        for event in result.events(with_levels=False):
            audience.tell(event)
        report = build(_with(whole, result))
        if not (markdown(report) and json_text(report)):
            raise ValueError("a report is empty")
        return len(told)

    return run


def _with(whole: RunResult, result: StreamResult) -> RunResult:
    (stream,) = whole.streams
    return replace(whole, streams=(replace(stream, result=result),))
