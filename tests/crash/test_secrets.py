"""The secrets of an account in live sessions: the exchange gets the key, and nobody else sees any of it."""

from pathlib import Path

import pytest
from e2e.project import make_project, snapshot
from loopback import FakeClock, LoopbackExchange
from loopback.faults import fault_from

from backtestkit_cli.model.time import MINUTE_MS
from crash.lives import SECRETS, START_MS, Lives, Nursery

FAULTS = ("http_500", "http_429", "http_502_html", "authentication", "clock_skew", "close", "cut_short", "html_page")
HIDDEN = (*SECRETS.values(), "signature=")


@pytest.mark.parametrize("verbosity", [(), ("-v",), ("-vv",)], ids=["quiet", "verbose", "very verbose"])
def test_no_secret_of_a_live_session_is_seen_anywhere(
    verbosity: tuple[str, ...], nursery: Nursery, tmp_path: Path
) -> None:
    with LoopbackExchange(clock=FakeClock(START_MS)) as exchange:
        lives = Lives(make_project(tmp_path), nursery, 1, exchange_url=exchange.url, verbosity=verbosity)
        process = lives.begin(pause_seconds=0.001, end_ms=START_MS + 10**9)
        lives.wait_until(START_MS + 10 * MINUTE_MS, process)
        exchange.faults.append(fault_from({"kind": ",".join(FAULTS), "rate": "0.4"}))
        lives.wait_until(START_MS + 20 * MINUTE_MS, process)
        lives.stop(process)
        exchange.faults.append(
            fault_from({"kind": "authentication,http_500", "path": "/sapi/v1/capital/config/getall"})
        )
        process = lives.begin(pause_seconds=0.0, end_ms=lives.now_ms + MINUTE_MS)
        assert nursery.wait(process) > 0, "it cannot begin"
        assert exchange.requests("/sapi/v1/capital/config/getall"), "the key was sent"
    assert lives.told
    seen = snapshot(tmp_path)
    assert any("journal" in name for name in seen)
    assert b"trouble" in b"".join(content for name, content in seen.items() if name.endswith(".err"))
    for name, content in seen.items():
        for hidden in HIDDEN:
            assert hidden.encode() not in content, name
