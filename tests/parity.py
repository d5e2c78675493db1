"""`make parity`: live sessions against backtests at full size; equal / total per form, 1 unless all are equal.

All four forms over 21 days of real candles, through real ccxt code, with restarts; then a thousand random scenarios.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from live_forms import DAY_MINUTES, FORMS, counts, forms_run
from live_worlds import by_stream
from property.test_live_equals_backtest import differing_seeds
from shared import SHARED

from backtestkit_cli.model.event import Closed, Event, key_of

DAYS, RESTARTS = 21, 12
REASONS = ("take_profit", "stop_loss", "time_expired")


def main(scenarios: int) -> int:
    """Compare, tell each form in a line."""
    is_whole = four_forms() if SHARED.is_dir() else _skipped()
    with tempfile.TemporaryDirectory() as folder:
        differing = differing_seeds(Path(folder), scenarios)
    print(f"random scenarios: {scenarios - len(differing)} / {scenarios} equal", *differing[:5])
    return 0 if is_whole and not differing else 1


def four_forms() -> bool:
    """All forms in one session; whether everything is equal and everything was reached."""
    with tempfile.TemporaryDirectory() as folder, forms_run(Path(folder), DAYS * DAY_MINUTES, is_real=True) as run:
        told, held = run.live(FORMS, RESTARTS)
        whole = run.backtest(FORMS)
    found, reached = counts(whole), Counter[str]()
    for form in FORMS:
        ours, theirs = trades(told, form), trades(whole, form)
        equal = sum(one == other for one, other in zip(ours, theirs, strict=False))
        print(f"{form}: {equal} / {max(len(ours), len(theirs))} trades equal")
        reached += found[form]
    wanted = dict.fromkeys(REASONS, 1) | {"limit entries": 10, "risk rejections": 10}
    lacking = [name for name, least in wanted.items() if reached[name] < least]
    lacking += [f"100 trades of {form}" for form in FORMS if len(trades(whole, form)) < 100]
    lacking += ["3 restarts in mid-position"] if held < 3 else []
    print(", ".join(f"{reached[name]} {name}" for name in wanted) + f", {held} restarts in mid-position")
    is_equal = by_stream(told) == by_stream(whole)
    print(f"events: {'all equal' if is_equal else 'NOT EQUAL'}", *(f"not reached: {name}" for name in lacking))
    return is_equal and not lacking


def trades(events: Sequence[Event], form: str) -> list[Event]:
    """The closed trades of a form."""
    return [event for event in events if isinstance(event, Closed) and key_of(event)[0] == form]


def _skipped() -> bool:
    print("the 21 days: left out, the shared folder of real candles is not on this machine")
    return True


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
