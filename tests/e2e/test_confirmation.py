"""The word for real orders, typed at a terminal: nothing but the name of the exchange lets a session begin."""

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from e2e.project import COMMAND
from loopback import LoopbackExchange
from real_orders import CONFIG, SECRETS

LIVE = ("live", "market", "--symbol", "BTC/USDT", "--exchange", "loop", "--broker", "ccxt", "--real")

TAKE_TERMINAL = "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR)); os.execv(sys.argv[1], sys.argv[1:])"
"""Ctrl-C is for who has the terminal."""


def typed(folder: Path, keys: bytes) -> tuple[int, str]:
    """What a terminal shows, and the exit code, when somebody answers the question."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE_TERMINAL, *COMMAND, *LIVE],
        cwd=folder,
        env={**os.environ, **SECRETS, "NO_COLOR": "1"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown, is_asked = b"", False
    try:
        while part := os.read(ours, 65536):
            shown += part
            if not is_asked and b"Type the name" in shown:
                time.sleep(0.3)  # nobody types while it is still written
                is_asked = os.write(ours, keys) > 0
    except OSError:
        pass  # the way Linux tells that the other side is closed
    os.close(ours)
    assert is_asked, shown
    return process.wait(timeout=60), shown.decode()


@pytest.mark.parametrize(
    ("keys", "code", "word"),
    [
        (b"loop\n", 2, "account-too-small"),
        (b"LOOP\n", 2, "not-confirmed"),
        (b"\x03", 130, ""),
    ],
    ids=["name", "other", "ctrl-c"],
)
def test_only_the_typed_name_of_the_exchange_lets_real_orders_begin(
    keys: bytes, code: int, word: str, tmp_path: Path
) -> None:
    with LoopbackExchange(balances={"USDT": "99"}) as exchange:
        (tmp_path / "configs").mkdir()
        (tmp_path / "configs" / "real.yaml").write_text(CONFIG.replace("URL", exchange.url), encoding="utf-8")
        found, shown = typed(tmp_path, keys)
        assert exchange.orders() == []
        assert bool(exchange.log) == (keys == b"loop\n"), "nothing is asked of the exchange before the word"
    assert found == code, shown
    assert "REAL ORDERS on loop, with real money" in shown
    assert word in shown
    assert "Traceback" not in shown
