"""Files of a language model: consent by content, and the process they run in, at each of its limits (six of them)."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from backtestkit_cli.errors import BacktestkitError, ConfigError, StrategyError
from backtestkit_cli.plugins.drafted.child import InChild
from backtestkit_cli.plugins.drafted.trust import HEADER, TRUSTED, digest_of, trust
from backtestkit_cli.plugins.load import load_file
from backtestkit_cli.plugins.reference import resolve
from backtestkit_cli.plugins.registry import Registry

DRAFT = f"""{HEADER}
import polars as pl


def draft(candles: pl.LazyFrame, *, length: int = 2) -> pl.LazyFrame:
    return candles.select("time", mean=pl.col("close").rolling_mean(length))
"""
CANDLES = pl.LazyFrame({"time": [1, 2, 3], "close": [1.0, 2.0, 4.0]})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "draft.py"
    path.write_text(DRAFT)
    return path


def refused(file: Path, reference: str = "draft.py:draft") -> str:
    with pytest.raises(BacktestkitError) as caught:
        resolve(reference, "strategy", file.parent, Registry())
    return caught.value.code


def ran(body: str, cpu_seconds: int = 20) -> pl.DataFrame:
    return InChild(f"def draft(candles):\n    {body}\n", "draft", "draft.py", 1, cpu_seconds)(CANDLES)


def problem_of(body: str, cpu_seconds: int = 20) -> tuple[str, str]:
    with pytest.raises(StrategyError) as caught:
        ran(body, cpu_seconds)
    return caught.value.code, str(caught.value)


def test_a_drafted_file_runs_once_its_content_is_trusted(file: Path) -> None:
    assert refused(file) == "not-trusted"
    trust(file.parent, file, digest_of(file.read_bytes()))
    plugin = resolve("draft.py:draft", "strategy", file.parent, Registry())
    assert plugin.form == "vector"
    assert plugin.bind({"length": 3})(CANDLES)["mean"].to_list() == [None, None, 7 / 3]
    assert [problem.code for problem in plugin.check({"length": "x", "size": 1})] == ["unknown-key", "wrong-value"]


def test_each_changed_byte_of_a_trusted_file_is_refused(file: Path) -> None:
    code = file.read_bytes()
    trust(file.parent, file, digest_of(code))
    for place in range(len(code)):
        file.write_bytes(code[:place] + bytes([code[place] ^ 1]) + code[place + 1 :])
        assert refused(file) == "not-trusted", place


def test_a_trusted_file_that_says_more_than_it_may_is_refused(file: Path) -> None:
    file.write_text(f"{DRAFT}\nROWS = pl.read_csv('x')\n")
    trust(file.parent, file, digest_of(file.read_bytes()))
    assert refused(file) == "not-allowed"


def test_a_drafted_file_is_never_loaded_into_this_process(file: Path) -> None:
    trust(file.parent, file, digest_of(file.read_bytes()))
    with pytest.raises(ConfigError) as caught:
        load_file(file, Registry())
    assert caught.value.code == "not-trusted"
    with pytest.raises(ConfigError):
        resolve("draft.py:draft", "risk_check", file.parent, Registry())


def test_a_damaged_list_of_consents_trusts_nothing(file: Path) -> None:
    (file.parent / TRUSTED).parent.mkdir()
    (file.parent / TRUSTED).write_text(json.dumps([digest_of(file.read_bytes())]))
    assert refused(file) == "bad-consents"


@pytest.mark.parametrize(
    ("signature", "code"),
    [
        ("draft(market)", "bad-strategy"),
        ("draft(candles, length=1)", "bad-strategy"),
        ("draft(candles, **params)", "bad-strategy"),
        ("draft(candles, *, length=1)", "bad-signature"),
        ("draft(candles, *, length: int)", "bad-signature"),
        ("other(candles)", "plugin-not-found"),
    ],
)
def test_a_function_of_another_form_is_refused(file: Path, signature: str, code: str) -> None:
    file.write_text(f"{HEADER}\ndef {signature}:\n    return None\n")
    trust(file.parent, file, digest_of(file.read_bytes()))
    assert refused(file) == code


def test_an_endless_loop_ends_at_the_limit_of_processor_time() -> None:
    code, what = problem_of("while True: pass", cpu_seconds=1)
    assert code == "child-limit"
    assert "1 s of processor time" in what


def test_too_much_memory_is_an_error_of_the_strategy() -> None:
    assert problem_of("return bytearray(2**31)")[0] == "child-limit"


def test_no_file_can_be_written(tmp_path: Path) -> None:
    code, what = problem_of(f"open({str(tmp_path / 'x')!r}, 'w', buffering=1).write('text\\n')")
    assert (code, "OSError" in what) == ("plugin-raised", True)
    assert not (tmp_path / "x").exists() or (tmp_path / "x").read_bytes() == b""


def test_the_environment_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCHANGE_SECRET", "canary")
    found = ran("import os, polars as pl; return pl.DataFrame({'names': list(os.environ)})")
    assert {"EXCHANGE_SECRET", "HOME", "PATH"}.isdisjoint(found["names"].to_list())


def _may_leave_the_network() -> bool:
    code = "import ctypes; c = ctypes.CDLL(None); raise SystemExit(c.unshare(0x40000000) and c.unshare(0x50000000))"
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(not _may_leave_the_network(), reason="the system does not let a process leave the network")
def test_the_network_is_out_of_reach_even_a_server_on_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        code, what = problem_of(f"import socket; socket.create_connection({address!r}, 5)")
    assert code == "plugin-raised"
    assert "unreachable" in what


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("raise ValueError('bad')", "plugin-raised"),
        ("return 7", "plugin-raised"),
        ("raise SystemExit", "plugin-raised"),
        ("import os; os._exit(0)", "child-ended"),
        ("import os; os.kill(os.getpid(), 11)", "child-limit"),
    ],
)
def test_whatever_else_ends_it_is_an_error_of_the_strategy(body: str, code: str) -> None:
    assert problem_of(body)[0] == code


def test_an_answer_that_is_no_frame_is_read_as_data_only() -> None:
    body = "import os; os.write(3, b'{}\\nrubbish'); os._exit(0)"
    assert problem_of(body)[0] == "child-ended"
