"""`data fetch` with real ccxt against the loopback exchange, and with an exchange of the user's own."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loopback import FakeClock, Fault, LoopbackExchange

from backtestkit_cli.cli.app import run

START_MS = 1_675_209_600_000  # 2023-02-01
NOW_MS = START_MS + 45 * 86_400_000
RANGE = "2023-02-26..2023-03-03"
CONFIG = """
settings: {{defaults: {{symbols: [BTCUSDT]}}, limits: {{candle_retry_delay_ms: 10}}}}
exchanges:
  - {{name: loop, use: ccxt, id: binance, base_url: "{url}"}}
frames: [{{name: first, start: 2023-02-27, end: 2023-03-01}}]
strategies:
  - name: dips
    interval: 15m
    rules: {{long: "close < lowest(low, 8)[1]", take_profit: "0.6%", stop_loss: "0.6%", lifetime: 4h}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "configs").mkdir()
    return tmp_path


def fetch_in(project: Path, *more: str) -> list[str]:
    return ["data", "fetch", "-e", "loop", "-s", "BTCUSDT", "-r", RANGE, "-c", str(project / "configs"), *more]


def months(project: Path) -> dict[str, bytes]:
    folder = project / "data" / "loop" / "BTCUSDT" / "1m"
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


def test_a_killed_download_resumes_to_the_same_bytes_and_a_backtest_needs_no_ccxt(
    project: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path_factory.mktemp("whole")
    (whole / "configs").mkdir()
    with LoopbackExchange(clock=FakeClock(NOW_MS)) as exchange:
        for folder in (project, whole):
            (folder / "configs" / "c.yaml").write_text(CONFIG.format(url=exchange.url))
        started = time.monotonic()
        assert run([*fetch_in(whole), "--json"]) == 0
        length = time.monotonic() - started
        report = json.loads(capsys.readouterr().out)
        assert (report["candles"], report["missing_minutes"]) == (5 * 1440, 0)
        seed = random.randrange(10**6)
        moments = random.Random(seed)
        for _ in range(6):
            child = subprocess.Popen(
                [sys.executable, "-m", "backtestkit_cli", *fetch_in(project)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(moments.uniform(0.5, 0.9 + length))
            child.send_signal(signal.SIGKILL)
            child.wait()
        assert run(fetch_in(project)) == 0
    assert months(project) == months(whole), f"seed {seed}"
    assert list(months(project)) == ["2023-02.parquet", "2023-03.parquet"]
    capsys.readouterr()

    environment = {**os.environ, "PYTHONPATH": str(blocked_ccxt(project))}
    done = subprocess.run(
        [sys.executable, "-m", "backtestkit_cli", "backtest", "-c", str(project / "configs"), "--json"],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"]["exchange"] == "loop"


def test_a_download_that_waits_says_what_for(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LoopbackExchange(clock=FakeClock(NOW_MS)) as exchange:
        (project / "configs" / "c.yaml").write_text(CONFIG.format(url=exchange.url))
        exchange.faults = [Fault(["http_500"], count=2, after=1)]
        assert run([*fetch_in(project), "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["retries"] == 2
    lines = told.err.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(r"binance .*; retry 1 of 3 in 0\.01 s", lines[0])
    assert re.fullmatch(r"binance .*; retry 2 of 3 in 0\.02 s", lines[1])


def blocked_ccxt(project: Path) -> Path:
    """A folder in which `import ccxt` fails."""
    folder = project / "blocked" / "ccxt"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('a backtest must not need ccxt')\n")
    return folder.parent


OWN_EXCHANGE = '''
"""A market of our own: a sawtooth."""
import polars as pl
from backtestkit_cli.model.candle import MarketSteps


class Saw:
    def __init__(self, *, height: float = 3.0) -> None:
        self.height = height

    def candles(self, symbol: str, start_ms: int, end_ms: int) -> pl.DataFrame:
        time = range(start_ms, end_ms, 60_000)
        close = [100.0 + self.height * abs((t // 60_000) % 240 - 120) / 120 for t in time]
        opened = [100.0 + self.height * abs((t // 60_000 - 1) % 240 - 120) / 120 for t in time]
        return pl.DataFrame({
            "time": list(time), "open": opened, "high": [max(p) for p in zip(opened, close)],
            "low": [min(p) for p in zip(opened, close)], "close": close, "volume": [1.0] * len(close),
        })

    def steps(self, symbol: str) -> MarketSteps:
        return MarketSteps(price=0.01, quantity=0.1)
'''


def test_an_exchange_of_the_users_own_is_fetched_once_and_tested_from_the_store(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "own.py").write_text(OWN_EXCHANGE)
    config = CONFIG.format(url="http://127.0.0.1:1").replace(
        'use: ccxt, id: binance, base_url: "http://127.0.0.1:1"', 'use: "own.py:Saw", params: {height: 4}'
    )
    (project / "configs" / "c.yaml").write_text(config)
    assert run(["backtest", "-c", str(project / "configs")]) == 3
    assert "data fetch" in capsys.readouterr().err
    assert run([*fetch_in(project), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["candles"] == 5 * 1440
    (project / "own.py").unlink()
    assert run(["backtest", "-c", str(project / "configs"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["streams"][0]["metrics"]["trades"] > 0
    market = json.loads((project / "data" / "loop" / "BTCUSDT" / "market.json").read_text())
    assert market["steps"] == {"price": 0.01, "quantity": 0.1}
