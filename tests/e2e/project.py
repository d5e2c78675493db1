"""Small projects, and the real command run in them: in a process of its own, or in this one where that is enough."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from backtestkit_cli.cli.app import run
from backtestkit_cli.model.time import iso, parse_time

COMMAND = (sys.executable, "-m", "backtestkit_cli")
MESSAGES = Path(__file__).parent.parent / "golden" / "messages"
START_MS = parse_time("2023-03-01")
MINUTE_MS = 60_000
DAY_MINUTES = 1440

MARKET = """\
settings:
  defaults: {symbols: [BTCUSDT], exchange: sample, frame: day}
exchanges:
  - {name: sample, use: sample, seed: 7}
  - {name: files, use: files, path: "data/{symbol}.csv"}
  - {name: binance, use: ccxt, id: binance}
frames:
  - {name: day, start: 2023-03-01, end: 2023-03-02}
  - {name: week, start: 2023-03-01, end: 2023-03-08}
  - {name: hourly-from-half-past, start: 2023-03-01T00:30, end: 2023-03-01T03:30, interval: 1h}
"""
STRATEGIES = """\
strategies:
  - name: cross
    interval: 15m
    rules:
      long: "crosses_above(close, sma(close, 8))"
      short: "crosses_below(close, sma(close, 8))"
      take_profit: "1%"
      stop_loss: "1%"
      lifetime: 2h
  - {name: asked, interval: 1h, use: "strategies/own.py:asked"}
  - {name: rows, interval: 1h, use: "strategies/own.py:rows"}
  - {name: listed, interval: 1h, signals: strategies/listed.csv}
"""
OWN = '''\
"""Both forms of a strategy in Python."""

import polars as pl

from backtestkit_cli import Market, SignalDraft


def asked(market: Market) -> SignalDraft | None:
    """A long at every free hour."""
    price = market.price
    return SignalDraft(
        position="long", price_take_profit=price * 1.01, price_stop_loss=price * 0.99, lifetime_minutes=90
    )


def rows(candles: pl.LazyFrame) -> pl.LazyFrame:
    """A short at every hour."""
    return candles.filter(pl.col("price").is_not_null()).select(
        "time",
        position=pl.lit("short"),
        price_take_profit=pl.col("price") * 0.99,
        price_stop_loss=pl.col("price") * 1.01,
        lifetime_minutes=pl.lit(90),
    )
'''
SIGNALS_HEAD = "time,symbol,position,price_take_profit,price_stop_loss,lifetime_minutes"
LISTED = f"{SIGNALS_HEAD}\n2023-03-01T02:00Z,BTCUSDT,long,40000,10000,60\n"


@dataclass(frozen=True, slots=True)
class Done:
    """How one command ended, and what it wrote."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """What stands on stdout, which must be one JSON document and nothing else."""
        return json.loads(self.stdout)


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with configs and strategies, and the commands run in it."""

    folder: Path

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
        return path

    def plugin(self, name: str, body: str, keys: str = "") -> None:
        """Add a strategy that is asked every six hours, or one that returns a frame if its body says `candles`."""
        first = "candles: pl.LazyFrame" if "candles" in body else "market: Market"
        head = "import os, sys, time\nimport polars as pl\nfrom backtestkit_cli import Market\n\n\n"
        self.write(f"strategies/{name}.py", f"{head}def call({first}):\n    {body}\n")
        use = f'{{name: {name}, interval: 6h, use: "strategies/{name}.py:call"{keys}}}'
        self.write(f"configs/{name}.yaml", f"strategies:\n  - {use}\n")

    def inside(self, *arguments: str) -> Done:
        """Run a command in this process."""
        with pytest.MonkeyPatch.context() as patch, _captured() as texts:
            patch.chdir(self.folder)
            code = run(arguments)
        return Done(code, *texts)

    def start(
        self, *arguments: str, environ: Mapping[str, str] | None = None, **keywords: Any
    ) -> "subprocess.Popen[str]":
        """Start a command in a process of its own."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            **keywords,
        )

    def outside(self, *arguments: str, environ: Mapping[str, str] | None = None) -> Done:
        """Run a command in a process of its own."""
        return finished(self.start(*arguments, environ=environ))

    @property
    def bundles(self) -> dict[str, dict[str, Any]]:
        """The manifests of the stored runs."""
        folder = self.folder / "logs" / "runs"
        return {path.parent.name: json.loads(path.read_text("utf-8")) for path in folder.glob("*/manifest.json")}


def finished(process: "subprocess.Popen[str]") -> Done:
    """Wait for a command."""
    try:
        stdout, stderr = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Done(process.returncode, stdout, stderr)


def make_project(folder: Path) -> Project:
    """A project with one strategy of each form."""
    project = Project(folder)
    project.write("configs/market.yaml", MARKET)
    project.write("configs/strategies.yaml", STRATEGIES)
    project.write("strategies/own.py", OWN)
    project.write("strategies/listed.csv", LISTED)
    return project


def candle_rows(minutes: int = DAY_MINUTES, *, seed: int = 1, start_ms: int = START_MS) -> list[list[float]]:
    """Candles of a random walk around 20000: time, open, high, low, close, volume."""
    random, price, rows = Random(seed), 20000.0, []
    for place in range(minutes):
        close = round(price * (1 + random.gauss(0, 0.0005)), 2)
        rows.append([start_ms + place * MINUTE_MS, price, max(price, close), min(price, close), close, 1.0])
        price = close
    return rows


def candle_csv(rows: Sequence[Sequence[object]]) -> str:
    """Candles as the text of a CSV."""
    return "\n".join(["time,open,high,low,close,volume", *(",".join(map(str, row)) for row in rows)]) + "\n"


def signal_csv(*rows: str, head: str = SIGNALS_HEAD) -> str:
    """Signals as the text of a CSV."""
    return "\n".join([head, *rows]) + "\n"


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def assert_golden(name: str, done: Done, project: Project) -> None:
    """Compare a failure with the kept text of its message; `UPDATE_GOLDEN=1` keeps the new one."""
    found = f"exit code {done.code}\n{done.stderr}".replace(str(project.folder), "PROJECT")
    path = MESSAGES / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")
    assert "Traceback" not in found
    assert done.stdout == ""


@contextmanager
def _captured() -> Iterator[list[str]]:
    """What is written to stdout and stderr, known afterwards."""
    from contextlib import redirect_stderr, redirect_stdout
    from io import StringIO

    texts: list[str] = []
    with redirect_stdout(StringIO()) as stdout, redirect_stderr(StringIO()) as stderr:
        yield texts
    texts += [stdout.getvalue(), stderr.getvalue()]


def at(minute: int) -> str:
    """A minute of the day as ISO text."""
    return iso(START_MS + minute * MINUTE_MS)
