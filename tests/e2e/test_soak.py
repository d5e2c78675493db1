"""A live session over a day on an exchange that fails in one of fifty calls; `make soak` does a week, three symbols."""

from pathlib import Path

import pytest
from soak import SYMBOLS, soak


@pytest.mark.timeout(300)
def test_a_day_of_faults_changes_no_trade_and_leaves_nothing_behind(tmp_path: Path) -> None:
    soaked = soak(tmp_path, 1440, SYMBOLS[:1], seed=1)
    assert soaked.failures == []
    assert soaked.faults.total() >= 15
    assert 0 < soaked.missed < soaked.ticks / 20
    assert soaked.trades >= 50
