"""What events say of themselves."""

import pytest

from backtestkit_cli.model.event import WalkerProgress


@pytest.mark.parametrize(("done", "percent"), [(0, 0.0), (1, 12.5), (8, 100.0)])
def test_progress_of_a_walker_is_the_share_of_its_contestants(done: int, percent: float) -> None:
    told = WalkerProgress(
        time_ms=0, walker="w", exchange="sample", frame="week", done_strategies=done, total_strategies=8
    )
    assert told.percent == percent
