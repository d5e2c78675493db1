"""The ledger of trials: what counts together, what counts once, and that nothing makes it forget."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backtestkit_cli.model.time import TimeRange, parse_time
from backtestkit_cli.run.trials import Trial, TrialCount, TrialLedger

WRITER = """
import sys
from pathlib import Path
from unit.run.test_trials import ledger, trial
with_many = ledger(Path(sys.argv[1]))
with_many._flushed = float("-inf")
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    with_many.add(trial(number))
    with_many.flush()
    print(number, flush=True)
"""


def trial(number: int, sharpe: float | None = None) -> Trial:
    return Trial(run_id=f"run-{number}", sharpe=number / 7 if sharpe is None else sharpe)


def ledger(folder: Path, first: str = "2023-03-01", last: str = "2023-04-01", *symbols: str) -> TrialLedger:
    within = TimeRange(parse_time(first), parse_time(last))
    return TrialLedger(folder=folder, exchange="sample", symbols=symbols or ("BTC/USDT",), range=within)


def kept(book: TrialLedger, *trials: Trial) -> TrialCount:
    for one in trials:
        book.add(one)
    return book.counted()


def writer(folder: Path, first: int, after: int) -> "subprocess.Popen[str]":
    tests = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"}
    command = [sys.executable, "-c", WRITER, str(folder), str(first), str(after)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_the_same_trial_counts_once_whoever_runs_it(tmp_path: Path) -> None:
    assert kept(ledger(tmp_path), trial(0), trial(7), trial(7)) == TrialCount(trials=2, variance=0.5)
    assert kept(ledger(tmp_path), trial(7)) == TrialCount(trials=2, variance=0.5)
    assert (tmp_path / "sample" / "BTC%2FUSDT.jsonl").read_bytes().count(b"sharpe") == 2


def test_a_trial_without_a_sharpe_ratio_counts_and_varies_nothing(tmp_path: Path) -> None:
    none = Trial(run_id="idle", sharpe=None)
    assert kept(ledger(tmp_path), none, trial(0)) == TrialCount(trials=2, variance=0.0)


def test_one_id_with_another_result_is_another_trial(tmp_path: Path) -> None:
    assert kept(ledger(tmp_path), trial(1, 0.5), trial(1, 0.25)).trials == 2


@pytest.mark.parametrize(
    ("first", "last", "symbols", "trials"),
    [
        ("2023-03-01", "2023-04-02", ("BTC/USDT",), 1),  # a day more
        ("2023-03-31T23:59", "2023-04-02", ("BTC/USDT",), 1),
        ("2022-01-01", "2024-01-01", ("BTC/USDT",), 1),
        ("2023-04-01", "2023-05-01", ("BTC/USDT",), 0),
        ("2023-02-01", "2023-03-01", ("BTC/USDT",), 0),
        ("2023-03-01", "2023-04-01", ("ETH/USDT",), 0),
        ("2023-03-01", "2023-04-01", ("ETH/USDT", "BTC/USDT"), 1),
    ],
)
def test_trials_count_together_that_touch_a_month_of_a_symbol(
    first: str, last: str, symbols: tuple[str, ...], trials: int, tmp_path: Path
) -> None:
    kept(ledger(tmp_path), trial(1))
    assert ledger(tmp_path, first, last, *symbols).counted().trials == trials


def test_a_trial_on_several_symbols_counts_on_each_and_once(tmp_path: Path) -> None:
    both = ("BTC/USDT", "ETH/USDT")
    assert kept(ledger(tmp_path, "2023-03-01", "2023-04-01", *both), trial(1)).trials == 1
    assert ledger(tmp_path).counted().trials == 1


@pytest.mark.parametrize("spoil", [lambda text: text[:-9], lambda text: text.replace(b"run-2", b"run-9")])
def test_a_line_that_was_cut_off_or_changed_does_not_count(spoil: object, tmp_path: Path) -> None:
    kept(ledger(tmp_path), trial(1), trial(2))
    path = tmp_path / "sample" / "BTC%2FUSDT.jsonl"
    path.write_bytes(spoil(path.read_bytes()))  # type: ignore[operator]
    assert kept(ledger(tmp_path)).trials == 1
    assert kept(ledger(tmp_path), trial(2), trial(3)).trials == 3


def test_two_programs_at_once_lose_nothing_nor_does_one_that_is_killed(tmp_path: Path) -> None:
    one, other, killed = writer(tmp_path, 0, 60), writer(tmp_path, 40, 100), writer(tmp_path, 100, 10_000)
    assert killed.stdout is not None
    told = [killed.stdout.readline() for _ in range(20)]
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    for process in (one, other):
        _, _ = process.communicate()
        assert process.returncode == 0
    assert told[-1] == "119\n"
    known = ledger(tmp_path).counted().trials
    assert known >= 120
    assert kept(ledger(tmp_path), *map(trial, range(120))).trials == known
