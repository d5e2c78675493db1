"""The comparison: who is measured against whom, in which rounds, with which goals.

Rules kept here:
- every ratio is taken inside a round, in which all parties run one after the other; told is the median of rounds;
- every party is warm and lives in its own process, or is a fresh process at every call where whole processes count;
- peers get their signals for nothing, we compute ours inside the measured time;
- trades of the column form are held against walk in the same run.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from shutil import copytree
from typing import TypeAlias

from benchmarks.dask_cluster import dask_cluster
from benchmarks.peers_venv import PeersVenv, peers_venv
from benchmarks.table import Row, text_of
from benchmarks.whole import Process
from benchmarks.worker import Lap, Worker, WorkerFailed, environment

Party: TypeAlias = Callable[[], Lap]

_PROJECT = Path(__file__).with_name("project")
_OURS = Path(sys.executable)
_LIGHT_ROUNDS, _MIDDLE_ROUNDS, _HEAVY_ROUNDS = 15, 5, 3


@dataclass(slots=True)
class Comparison:
    """Everything that is asked, and what came of it."""

    folder: Path
    venv: PeersVenv
    ours: Worker
    peers: Mapping[str, Worker]
    rows: list[Row] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def task(self, name: str) -> Party:
        """One of our tasks."""
        return partial(self.ours.ask, name)

    def peer(self, package: str, task: str) -> dict[str, Party]:
        """A peer's task under its name, nothing when the peer is not there."""
        return {f"{package} {task}": partial(self.peers[package].ask, task)} if package in self.peers else {}

    def peak(self, command: Sequence[str | Path]) -> float | None:
        """Peak memory of a process in MiB; None where it fails, which is told."""
        return self._measured(command)[1]

    def walked(self, walker: str, *options: str) -> tuple[float | None, float | None]:
        """Wall seconds and peak memory of a walker's command."""
        return self._measured([_OURS, "-m", "backtestkit_cli", "walker", walker, *options])

    def _measured(self, command: Sequence[str | Path]) -> tuple[float | None, float | None]:
        try:
            return Process(command, self.folder).measured()
        except WorkerFailed as error:
            self.failures.append(str(error))
            return None, None

    def rounds(self, count: int, parties: Mapping[str, Party]) -> "Rounds":
        """Let all parties run one after the other, `count` times; who fails is told and left out."""
        laps: dict[str, list[Lap]] = {name: [] for name in parties}
        broken: set[str] = set()
        for _ in range(count):
            for name, party in parties.items():
                if name not in broken:
                    try:
                        laps[name].append(party())
                    except WorkerFailed as error:
                        broken.add(name)
                        self.failures.append(str(error))
        return Rounds({name: taken for name, taken in laps.items() if name not in broken})

    def add(
        self, rounds: "Rounds", what: str, over: str, under: str, goal: float | None = None, *, at_most: bool = False
    ) -> None:
        """Add the ratio of two parties of the same rounds."""
        self.rows.append(
            Row(
                what=what,
                value=rounds.ratio(over, under),
                goal=goal,
                is_better="below" if at_most else "above",
                note=rounds.note(under, over),
            )
        )


@dataclass(frozen=True, slots=True)
class Rounds:
    """The laps of each party, round by round."""

    laps: dict[str, list[Lap]]

    def ratio(self, over: str, under: str) -> float | None:
        """Median over the rounds of one time divided by another."""
        if over not in self.laps or under not in self.laps:
            return None
        pairs = zip(self.laps[over], self.laps[under], strict=True)
        return statistics.median(one.seconds / other.seconds for one, other in pairs)

    def note(self, *names: str) -> str:
        """Median times and trade counts."""
        return ", ".join(self._of(name) for name in names if name in self.laps)

    def _of(self, name: str) -> str:
        laps = self.laps[name]
        milliseconds = statistics.median(lap.seconds for lap in laps) * 1000
        trades = f" {laps[-1].trades} trades" if laps[-1].trades else ""
        return f"{name}: {milliseconds:.3g} ms{trades}"


def compare(seed: int) -> int:
    """Measure everything and print the table; 1 when something failed or trades differ."""
    venv = peers_venv()
    print(_machine(venv, seed), flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as made, ExitStack() as stack:
        folder = copytree(_PROJECT, Path(made) / "project")
        subprocess.run([_OURS, "-m", "benchmarks.market", folder, str(seed)], env=environment(), check=True)
        modules = {"vectorbt": "peers.vectorbt_peer", "backtesting": "peers.backtesting_peer"}
        comparison = Comparison(
            folder=folder,
            venv=venv,
            ours=stack.enter_context(closing(Worker(_OURS, "ours", str(folder)))),
            peers={
                package: stack.enter_context(closing(Worker(venv.python, module, str(folder))))
                for package, module in modules.items()
                if venv.has(package)
            },
        )
        for step in (_engines, _product, _symbols, _sweep, _variants, _slow_peer, _worst, _whole, _start, _memory):
            print(f"measuring: {step.__name__.strip('_').replace('_', ' ')} …", flush=True)
            step(comparison)
        print("holding the column trades against walk …", flush=True)
        told = _trades(comparison)
    print(f"\n{text_of(comparison.rows)}\n\n{told}")
    for failure in dict.fromkeys(comparison.failures):
        print(f"FAILED {failure}")
    return 1 if comparison.failures else 0


def _engines(one: Comparison) -> None:
    """W1 and W2 against vectorbt and against one pass."""
    for name, least, most in (("W1", 3.0, {"touch": 15.0, "honest": 20.0}), ("W2", 1.5, {"touch": 30.0})):
        touch, honest = f"{name} touch", f"{name} honest"
        parties = {"pass": one.task("pass"), touch: one.task(touch), **one.peer("vectorbt", name)}
        rounds = one.rounds(_LIGHT_ROUNDS, {**parties, honest: one.task(honest)})
        if "vectorbt" in one.peers:
            one.add(rounds, f"{name} vectorbt / ours, touch", f"vectorbt {name}", touch, least)
            one.add(rounds, f"{name} vectorbt / ours, honest", f"vectorbt {name}", honest)
        for policy in ("touch", "honest"):
            what = f"{name} ours / one pass, {policy}"
            one.add(rounds, what, f"{name} {policy}", "pass", most.get(policy), at_most=True)


def _product(one: Comparison) -> None:
    """W1 with listeners, statistics and both reports, against the engine alone."""
    for policy in ("touch", "honest"):
        bare, whole = f"W1 {policy}", f"product W1 {policy}"
        rounds = one.rounds(_LIGHT_ROUNDS, {bare: one.task(bare), whole: one.task(whole)})
        one.add(rounds, f"W1 whole product path / bare engine, {policy}", whole, bare, 5.0, at_most=True)


def _symbols(one: Comparison) -> None:
    """W3: twenty symbols, one after the other."""
    parties = {f"W3 {policy}": one.task(f"W3 {policy}") for policy in ("touch", "honest")}
    rounds = one.rounds(_MIDDLE_ROUNDS, {**parties, **one.peer("vectorbt", "W3")})
    if "vectorbt" in one.peers:
        one.add(rounds, "W3 vectorbt / ours, touch", "vectorbt W3", "W3 touch", 5.0)
        one.add(rounds, "W3 vectorbt / ours, honest", "vectorbt W3", "W3 honest")


def _sweep(one: Comparison) -> None:
    """W4: a hundred combinations, against the faster engine of vectorbt, and what a fresh process holds for them."""
    engines = [f"W4 {name}" for name in ("numba", "rust")]
    parties = {f"W4 {policy}": one.task(f"W4 {policy}") for policy in ("touch", "honest")}
    for engine in engines:
        parties |= one.peer("vectorbt", engine)
    rounds = one.rounds(_HEAVY_ROUNDS, parties)
    there = [f"vectorbt {engine}" for engine in engines if f"vectorbt {engine}" in rounds.laps]
    if not there:
        return
    faster = min(there, key=lambda name: min(lap.seconds for lap in rounds.laps[name]))
    one.add(rounds, f"W4 {faster.replace(' W4', '')} / ours, touch", faster, "W4 touch", 10.0)
    one.add(rounds, f"W4 {faster.replace(' W4', '')} / ours, honest", faster, "W4 honest")
    script: list[str | Path] = [
        one.venv.python,
        "-m",
        "benchmarks.peers.vectorbt_peer",
        one.folder,
        "W4",
        faster.rpartition(" ")[2],
    ]
    ours, theirs = one.peak([_OURS, "-m", "benchmarks.ours", one.folder, "W4 touch"]), one.peak(script)
    note = f"ours {ours or 0:.0f} MiB, vectorbt {theirs or 0:.0f} MiB"
    share = ours / theirs if ours and theirs else None
    one.rows.append(Row(what="W4 peak memory, ours / vectorbt", value=share, goal=0.1, is_better="below", note=note))


def _variants(one: Comparison) -> None:
    """Ten thousand variants of a year against a hundred, in one process, in two, and on a Dask cluster of two."""
    few, (alone, many) = one.walked("hundred"), one.walked("ten-thousand")
    two = one.walked("ten-thousand", "--jobs", "2")[0]
    with dask_cluster() as address:
        dask = one.walked("ten-thousand", "--cluster", address)[0] if address else None

    def ratio(over: float | None, under: float | None) -> float | None:
        return over / under if over and under else None

    memory = f"{many or 0:.0f} MiB, of a hundred {few[1] or 0:.0f} MiB"
    times = f"1 process {alone or 0:.3g} s, 2 jobs {two or 0:.3g} s, Dask {dask or 0:.3g} s"
    rows = (
        Row(
            what="peak memory, 10,000 variants / 100",
            value=ratio(many, few[1]),
            goal=1.2,
            is_better="below",
            note=memory,
        ),
        Row(what="10,000 variants, 1 process / 2 jobs", value=ratio(alone, two), note=times),
        Row(what="10,000 variants, Dask with 2 workers / 2 jobs", value=ratio(dask, two), is_better="below"),
    )
    one.rows.extend(rows)


def _slow_peer(one: Comparison) -> None:
    """W1 and W2 against backtesting.py, and our Python per decision, asked every minute."""
    names = ("W1 touch", "W2 touch", "W1m touch")
    parties = {name: one.task(name) for name in names}
    rounds = one.rounds(_HEAVY_ROUNDS, {**parties, **one.peer("backtesting", "W1"), **one.peer("backtesting", "W2")})
    if "backtesting" in one.peers:
        one.add(rounds, "W1 backtesting.py / ours, touch", "backtesting W1", "W1 touch", 150.0)
        one.add(rounds, "W2 backtesting.py / ours, touch", "backtesting W2", "W2 touch")
        one.add(rounds, "W1m backtesting.py / ours, asked every minute", "backtesting W1", "W1m touch", 8.0)


def _worst(one: Comparison) -> None:
    """A draft at every minute."""
    for level in ("1 % 24h", "20 % 24h", "0.1 % 24h"):
        parties = {f"{level} {policy}": one.task(f"{level} {policy}") for policy in ("touch", "honest")}
        rounds = one.rounds(_HEAVY_ROUNDS, {"pass": one.task("pass"), **parties})
        for policy in ("touch", "honest"):
            what = f"a draft every minute, {level} / one pass, {policy}"
            one.add(rounds, what, f"{level} {policy}", "pass", 300.0, at_most=True)


def _whole(one: Comparison) -> None:
    """The command against a script that does the same in the peer, from a parquet file to trades."""
    ours = Process([_OURS, "-m", "backtestkit_cli", "backtest", "w1", "--set", "settings.fill=touch"], one.folder)
    parties: dict[str, Party] = {"command": ours}
    goals = {"vectorbt": 4.0, "backtesting": 7.0}
    for package in one.peers:
        script: list[str | Path] = [one.venv.python, "-m", f"benchmarks.peers.{package}_peer", one.folder, "W1"]
        parties[package] = Process(script, one.folder)
    rounds = one.rounds(_HEAVY_ROUNDS, parties)
    for package in one.peers:
        one.add(rounds, f"whole process W1, {package} / ours", package, "command", goals[package])


def _start(one: Comparison) -> None:
    """Import and help against a bare Python."""
    parties: dict[str, Party] = {
        "python": Process([_OURS, "-c", "pass"], one.folder),
        "import": Process([_OURS, "-c", "import backtestkit_cli"], one.folder),
        "help": Process([_OURS, "-m", "backtestkit_cli", "--help"], one.folder),
    }
    rounds = one.rounds(_LIGHT_ROUNDS, parties)
    one.add(rounds, "import backtestkit_cli / bare python", "import", "python", 3.0, at_most=True)
    one.add(rounds, "--help / bare python", "help", "python", at_most=True)


def _memory(one: Comparison) -> None:
    """Peak of the real command on one year."""
    for name in ("w1", "w2"):
        command = Process([_OURS, "-m", "backtestkit_cli", "backtest", name], one.folder)
        peak = None
        try:
            peak = command.measured()[1]
        except WorkerFailed as error:
            one.failures.append(str(error))
        row = Row(what=f"peak memory of backtest {name}", value=peak, goal=200.0, is_better="below", unit="MiB")
        one.rows.append(row)


def _trades(one: Comparison) -> str:
    """Compare the trades of both forms one by one; a difference is a failure."""
    equal = []
    for name in ("W1 touch", "W1 honest", "W2 touch", "W2 honest"):
        try:
            equal.append(f"{name} {one.ours.ask(f'same {name}').trades}")
        except WorkerFailed as error:
            one.failures.append(str(error))
    return f"trades equal to walk, one by one: {', '.join(equal) or 'none'}"


def _machine(venv: PeersVenv, seed: int) -> str:
    ours = f"numpy {version('numpy')}, polars {version('polars')}"
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {ours}; "
        f"peers: {str(venv) or 'none'}; seed {seed}"
    )
