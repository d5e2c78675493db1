"""People are told of a session at their addresses: what they asked for, in order, and nothing waits for them."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread

import pytest
from accelerated import Session, run_live
from e2e.project import Project, make_project

from backtestkit_cli import Closed, Kit, Opened
from backtestkit_cli.errors import ConfigError, DataError, Problem, Source
from backtestkit_cli.model.event import DraftRefused
from backtestkit_cli.model.time import MINUTE_MS, parse_time
from backtestkit_cli.run.live.people import ROOM, Address, People

pytestmark = [
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),  # an import of Apprise
    pytest.mark.skipif(find_spec("apprise") is None, reason="the extra `notify` is not installed"),
]
START_MS = parse_time("2023-03-01")
SECRET = "canary-5f2a91"


@dataclass(slots=True)
class Heard:
    """What a server was sent; `status` is what it answers."""

    port: int = 0
    status: int = 200
    titles: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


@contextmanager
def serving(status: int = 200) -> Iterator[Heard]:
    heard = Heard(status=status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.titles.append(told["title"])
            heard.texts.append(told["message"])
            self.send_response(heard.status)
            self.end_headers()

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002  # the name of the base class
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard.port = server.server_port
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def ran(project: Project, notify: str, *, leaves: bool = False) -> Session:
    """Two and a half hours of a session that opens a long each hour."""
    project.write("configs/notify.yaml", f"settings:\n  notify: {notify}\n")
    kit = Kit.load(project.folder / "configs")
    start_ms = START_MS - 20_000
    return run_live(kit, "asked", start=start_ms, end=START_MS + 150 * MINUTE_MS, leaves=leaves)


def test_an_address_is_told_what_it_asked_for_in_order(project: Project) -> None:
    with serving() as heard, serving() as other:
        notify = f'[{{url: "json://127.0.0.1:{heard.port}", events: [opened, closed, stopped]}}, '
        notify += f'{{url: "json://127.0.0.1:{other.port}", events: [rejected]}}]'
        session = ran(project, notify)
    kinds = [event.kind for event in session.events if isinstance(event, Opened | Closed)]
    assert len(kinds) > 2
    told = [f"{kind}: asked on BTCUSDT" for kind in kinds]
    assert heard.titles == [*told[:-1], "stopping", told[-1], "stopped"]
    assert "waiting for\n  asked long on BTCUSDT until" in heard.texts[-3]
    assert "long at" in heard.texts[0]
    assert "ended with nothing open" in heard.texts[-1]
    assert other.titles == []
    assert session.troubles == ()


def test_people_hear_of_the_kill_switch(project: Project) -> None:
    with serving() as heard, serving() as other:
        notify = f'[{{url: "json://127.0.0.1:{heard.port}"}}, '
        notify += f'{{url: "json://127.0.0.1:{other.port}", events: [stopped, opened]}}]'
        project.write("configs/notify.yaml", f"settings:\n  notify: {notify}\n")
        kit = Kit.load(project.folder / "configs")
        kit.sessions.kill()
        run_live(kit, "asked", start=START_MS - 20_000, end=START_MS + 5 * MINUTE_MS)
    assert heard.titles == ["kill switch"]
    assert other.titles == ["kill switch", "stopped"]
    assert "nothing is opened" in heard.texts[0]


def test_the_default_is_opened_closed_and_error(project: Project) -> None:
    project.plugin("broken", "raise ValueError('no idea')")
    with serving() as heard:
        project.write("configs/notify.yaml", f'settings: {{notify: [{{url: "json://127.0.0.1:{heard.port}"}}]}}\n')
        kit = Kit.load(project.folder / "configs")
        run_live(kit, "broken", start=START_MS - 20_000, end=START_MS + 5 * MINUTE_MS)
    assert heard.titles == ["decision failed: broken on BTCUSDT"]
    assert "no idea" in heard.texts[0]


def test_an_address_that_fails_is_reported_once_without_its_secret(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("backtestkit_cli.run.live.people.PAUSE_SECONDS", 0.0)
    with serving(status=500) as heard:
        monkeypatch.setenv("HOOK", f"json://user:{SECRET}@127.0.0.1:{heard.port}/{SECRET}")
        session = ran(project, '[{url: "${HOOK}", events: [opened, closed, stopped]}]')
    (trouble,) = session.troubles
    assert trouble.code == "not-told"
    assert "json://…" in str(trouble)
    assert "500" in str(trouble)
    assert any(isinstance(event, Closed) for event in session.events)
    journal = session.live.journal_path.read_text("utf-8")
    assert '"what": "trouble"' in journal
    assert SECRET not in journal + str(trouble) + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("notify", "code"),
    [
        ('[{url: "nowhere://x"}]', "bad-notify-address"),
        ('[{url: "${NOT_SET_ANYWHERE}"}]', "environment-missing"),
        ('[{url: "ftp.example.org"}]', "bad-value"),
    ],
)
def test_an_address_that_is_none_is_refused_before_the_session_begins(notify: str, code: str, project: Project) -> None:
    with pytest.raises(ConfigError) as caught:
        ran(project, notify)
    assert caught.value.code == code


def test_without_apprise_the_way_to_get_it_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ConfigError, match="needs Apprise") as caught:
        ran(project, '[{url: "json://127.0.0.1"}]')
    assert "backtestkit-cli[notify]" in (caught.value.problems[0].hint or "")


# One address


def address(deliver: object) -> Address:
    return Address(Source(), "json", frozenset(("opened", "error")), deliver)  # type: ignore[arg-type]


def test_an_address_that_hangs_holds_nobody_up_and_what_has_no_room_is_left_out() -> None:
    go_on, sent = Event(), list[str]()

    def hangs(title: str, text: str) -> None:
        go_on.wait()
        sent.append(text)

    quick = list[str]()
    slow, other = address(hangs), address(lambda _title, text: quick.append(text))
    people = People((slow, other), str)
    for number in range(ROOM + 20):
        people.note(("opened",), "title", str(number))
        while len(quick) <= number:
            time.sleep(0.001)  # the other one is never held up
    (failure,) = people.failures()
    assert "left out" in str(failure)
    go_on.set()
    people.close()
    slow.thread.join()
    assert sent == [str(number) for number in range(len(sent))]
    assert ROOM <= len(sent) <= ROOM + 1


def test_a_message_is_tried_again_and_a_failure_told_once_until_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backtestkit_cli.run.live.people.PAUSE_SECONDS", 0.0)
    answers = iter(["no", None, *["no"] * 6, None, *["never"] * 3])
    one = address(lambda _title, _text: next(answers))
    people = People((one,), str)
    for _ in range(5):
        people.note(("opened",), "title", "text")
    one._messages.put(None)
    one.thread.join()
    assert [str(failure).rpartition(": ")[2] for failure in people.failures()] == ["no", "never"]


def test_a_service_that_raises_stops_nothing() -> None:
    one = address(lambda _title, _text: 1 / 0)
    one.close()
    people = People((address(lambda _title, _text: 1 / 0),), lambda text: text.replace(SECRET, "***"))
    people.close()
    one.thread.join(timeout=30)
    assert not one.thread.is_alive()


def test_the_same_refusal_of_a_stream_is_told_once_an_hour() -> None:
    told = list[str]()
    one = Address(Source(), "json", frozenset(("rejected",)), lambda _title, text: told.append(text))
    people = People((one,), str)
    for minute in range(61):
        for symbol, rule in (("BTCUSDT", "too_close"), ("ETHUSDT", "too_close"), ("BTCUSDT", "too_far")):
            time_ms = START_MS + minute * MINUTE_MS
            people.event(DraftRefused(time_ms=time_ms, strategy="fast", symbol=symbol, rules=(rule,)))
    people.close()
    one.thread.join()
    assert len(told) == 6
    assert sorted(text.split()[-2:] for text in told[:3]) == [
        ["BTCUSDT", "too_close"],
        ["BTCUSDT", "too_far"],
        ["ETHUSDT", "too_close"],
    ]


def test_the_same_trouble_is_told_once_an_hour_and_without_secrets() -> None:
    told = list[str]()
    people = People((address(lambda _title, text: told.append(text)),), lambda text: text.replace(SECRET, "***"))
    for minute in range(61):
        error = DataError(Problem("no-candles", f"{SECRET} at minute {minute}", Source(symbol="BTCUSDT")))
        people.trouble(START_MS + minute * MINUTE_MS, error)
    people.trouble(START_MS, DataError(Problem("no-candles", "another", Source(symbol="ETHUSDT"))))
    people.close()
    people.addresses[0].thread.join()
    assert told == ["*** at minute 0", "*** at minute 60", "another"]
