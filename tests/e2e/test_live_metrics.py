"""The page of a live session for Prometheus: its figures are those of the session, for this computer alone."""

import re
import socket
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from accelerated import JumpingClock, run_live
from e2e.project import START_MS, Project, make_project

from backtestkit_cli import Closed, Kit
from backtestkit_cli.errors import ConfigError
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.run.live.endpoint import CONTENT_TYPE
from backtestkit_cli.run.live.session import Live

END_MS = START_MS + 200 * MINUTE_MS
SAMPLE = re.compile(r'backtestkit_(\w+?)(?:\{(\w+="(?:[^"\\]|\\.)*"(?:,\w+="(?:[^"\\]|\\.)*")*)\})? (\S+)')


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


@pytest.fixture
def port() -> int:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def kit_of(project: Project, port: int) -> Kit:
    return Kit.load(project.folder / "configs", overrides=[f"settings.metrics.port={port}"])


def asked(port: int, path: str = "/metrics", method: str = "GET") -> tuple[int, str, str]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode("utf-8")


def samples(text: str) -> Iterator[tuple[tuple[str, str], float]]:
    for line in text.splitlines():
        if not line.startswith("#"):
            found = SAMPLE.fullmatch(line)
            assert found is not None, line
            yield (found[1], found[2] or ""), float(found[3])


def test_the_figures_of_the_page_are_those_of_the_session(project: Project, port: int) -> None:
    pages: list[str] = []

    def prepared(live: Live) -> None:
        assert isinstance(live.clock, JumpingClock)
        live.clock.at[END_MS - 25 * MINUTE_MS] = lambda: pages.append(asked(port)[2])
        live.clock.at[END_MS - 24 * MINUTE_MS] = lambda: pages.append(str(asked(port, "/other")[0]))
        live.clock.at[END_MS - 23 * MINUTE_MS] = lambda: pages.append(str(asked(port, method="POST")[0]))
        live.clock.at[END_MS - 22 * MINUTE_MS] = lambda: pages.append(asked(port)[1])

    session = run_live(kit_of(project, port), "asked", start=START_MS - 20_000, end=END_MS, prepared=prepared)
    page, other, posted, kind = pages
    assert (other, posted, kind) == ("404", "501", CONTENT_TYPE)
    told, stream = dict(samples(page)), 'strategy="asked",symbol="BTCUSDT"'
    closed = [one for one in session.events if isinstance(one, Closed) and one.time_ms < END_MS - 25 * MINUTE_MS]
    assert closed
    assert told["trades_closed_total", stream] == len(closed)
    assert told["profit_percent", stream] == sum(one.pnl_percent for one in closed)
    assert told["positions_open", stream] == 1
    assert told["profit_quote", stream] == 0
    assert 0 <= told["last_minute_age_seconds", 'symbol="BTCUSDT"'] < 120
    assert told["questions_total", ""] > 100
    assert page.count("# TYPE") == page.count("# HELP") == 7
    assert session.troubles == ()


def test_nobody_is_answered_after_the_session_and_the_next_one_goes_on(project: Project, port: int) -> None:
    run_live(kit_of(project, port), "asked", start=START_MS - 20_000, end=START_MS + 90_000)
    with pytest.raises(ConnectionRefusedError):
        asked(port)
    changed = Kit.load(project.folder / "configs")
    assert run_live(changed, "asked", start=START_MS + 100_000, end=START_MS + 200_000).live.streams


def test_a_port_that_is_taken_is_told_before_anything_begins(project: Project, port: int) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(ConfigError, match="cannot be served") as error:
            run_live(kit_of(project, port), "asked", start=START_MS, end=END_MS)
    assert error.value.code == "metrics-not-served"
    assert error.value.problems[0].hint


def test_a_port_that_is_none_is_refused(project: Project) -> None:
    for port in (0, 65536, "http"):
        done = project.inside("live", "asked", "--set", f"settings.metrics.port={port}")
        assert (done.code, "settings.metrics.port" in done.stderr) == (2, True), done.stderr
