"""A live session over the loopback exchange, with real ccxt code, trades as the backtest of the same candles does.

`make parity` does it with all forms over 21 days.
"""

from pathlib import Path

import pytest
from live_forms import DAY_MINUTES, FORMS, counts, forms_run
from live_worlds import by_stream
from shared import needs_shared


def test_all_forms_over_made_candles_and_a_restart(tmp_path: Path) -> None:
    with forms_run(tmp_path, 300, is_real=False) as run:
        told, _ = run.live(FORMS, restarts=1)
        assert by_stream(told) == by_stream(run.backtest(FORMS))
        assert run.kit.parity().parity.differences == ()
    assert set(counts(told)) == set(FORMS)


@needs_shared
@pytest.mark.timeout(600)
def test_three_days_of_real_candles(tmp_path: Path) -> None:
    with forms_run(tmp_path, 3 * DAY_MINUTES, is_real=True) as run:
        told, held = run.live(["rules"], restarts=3)
        assert told == run.backtest(["rules"])
    found = counts(told)["rules"]
    assert found["closed"] >= 15
    assert found["limit entries"] >= 10
    assert held >= 1
