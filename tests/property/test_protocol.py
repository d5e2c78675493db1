"""Laws of how a search divides time: windows in order, a gap after each, nothing chosen where it is judged."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, TimeRange
from backtestkit_cli.run.search.protocol import divided

START_MS = 1_677_628_800_000


@given(
    days=st.integers(1, 400),
    odd_minutes=st.integers(0, 1439),
    folds=st.integers(1, 8),
    hold_out=st.floats(0.01, 0.9),
    gap_minutes=st.integers(0, 6000),
    tick_ms=st.sampled_from([MINUTE_MS, DAY_MS, 3 * DAY_MS]),
)
def test_windows_leave_a_gap_before_what_comes_next(
    days: int, odd_minutes: int, folds: int, hold_out: float, gap_minutes: int, tick_ms: int
) -> None:
    within = TimeRange(START_MS, START_MS + days * DAY_MS + odd_minutes * MINUTE_MS)
    gap_ms = gap_minutes * MINUTE_MS
    found = divided(within, folds=folds, hold_out=hold_out, gap_ms=gap_ms, tick_ms=tick_ms)
    if found is None:
        return
    windows = [*(fold.test for fold in found.folds), found.hold_out]
    assert len(found.folds) == folds
    for fold in found.folds:
        assert within.start_ms == fold.train.start_ms < fold.train.end_ms == fold.test.start_ms - gap_ms
        assert fold.test.start_ms < fold.test.end_ms
    for one, other in pairwise(windows):
        assert one.end_ms + gap_ms == other.start_ms
    assert found.search == TimeRange(within.start_ms, found.hold_out.start_ms - gap_ms)
    assert found.hold_out.end_ms == within.end_ms
    assert all((one.start_ms - within.start_ms) % max(DAY_MS, tick_ms) == 0 for one in windows)
