"""Events listed as columns are the table of the events told one by one."""

from collections import Counter
from dataclasses import replace

import make
from polars.testing import assert_frame_equal
from worlds import random_world

from backtestkit_cli.engine.listed import DRAFT_REFUSED
from backtestkit_cli.measure.original_metrics import happened
from backtestkit_cli.report.frames import events_table

WORLDS = 250
LEAST = 20


def test_events_listed_as_columns_are_those_told_one_by_one() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(WORLDS):
        world = random_world(seed)
        stream = replace(make.stream(), strategy="s", symbol="X", result=world.in_columns())
        one_by_one = replace(stream, result=replace(stream.result, listed=None))
        told = events_table(make.run(one_by_one))
        assert_frame_equal(events_table(make.run(stream)), told, check_exact=True)
        assert happened(stream) == happened(one_by_one), f"seed {seed}"
        kinds.update(told["kind"])
        if stream.result.listed is not None:
            listed = stream.result.listed()
            assert set(listed.signal[listed.kind == DRAFT_REFUSED].tolist()) <= {-1}
    wanted = ("draft_refused", "scheduled", "opened", "level_reached", "closed", "cancelled")
    assert {kind: kinds[kind] for kind in wanted if kinds[kind] < LEAST} == {}
