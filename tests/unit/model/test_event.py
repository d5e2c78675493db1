"""What events say of themselves."""

import pytest

from backtestkit_cli.model.event import OptimizerProgress, Progress, WalkerProgress


@pytest.mark.parametrize(("done", "percent"), [(0, 0.0), (1, 12.5), (8, 100.0)])
def test_progress_of_a_walker_is_the_share_of_its_contestants(done: int, percent: float) -> None:
    told = WalkerProgress(
        time_ms=0, walker="w", exchange="sample", frame="week", done_strategies=done, total_strategies=8
    )
    assert told.percent == percent


def test_progress_of_a_stream_is_the_share_of_its_minutes() -> None:
    told = Progress(time_ms=0, exchange="sample", strategy="s", symbol="X", done_minutes=3, total_minutes=4)
    assert told.percent == 75.0


def test_progress_of_an_optimizer_is_the_share_of_its_sources_and_drafts() -> None:
    told = OptimizerProgress(
        time_ms=0, optimizer="o", symbol="X", done_sources=3, total_sources=4, done_drafts=1, total_drafts=12
    )
    assert told.percent == 25.0
