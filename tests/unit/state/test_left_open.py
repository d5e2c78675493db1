"""What journals say is open."""

from pathlib import Path
from typing import Any

from backtestkit_cli.state.journal import JOURNAL, Journal, said_flat
from backtestkit_cli.state.left_open import left_open

KEY, OTHER = ("s", "A"), ("s", "B")


def event(kind: str, symbol: str = "A") -> dict[str, Any]:
    return {"what": "event", "time_ms": 1, "event": {"kind": kind, "signal": {"strategy": "s", "symbol": symbol}}}


def journal(logs: Path, session: str, *lines: dict[str, Any]) -> None:
    kept = Journal(logs / "live" / session)
    for line in lines:
        kept.add(**line)
    kept.close()


def test_what_was_opened_and_not_closed_is_open_in_the_streams_that_are_asked_for(tmp_path: Path) -> None:
    journal(tmp_path, "1", event("opened"), event("closed"), event("opened"), event("opened", "B"))
    journal(tmp_path, "2", event("opened"), event("closed"))
    journal(tmp_path, "3", event("scheduled"))
    assert left_open(tmp_path, [KEY]) == {tmp_path / "live" / "1": [KEY]}
    assert left_open(tmp_path, [KEY, OTHER]) == {tmp_path / "live" / "1": [KEY, OTHER]}
    assert left_open(tmp_path, [KEY], but="1") == {}
    assert left_open(tmp_path / "none", [KEY]) == {}


def test_a_word_of_a_person_and_an_end_with_nothing_open_are_believed(tmp_path: Path) -> None:
    said = {"what": "reconciled", "time_ms": 2, "said": said_flat(*KEY), "kept": []}
    journal(tmp_path, "1", event("opened"), event("opened", "B"), said)
    assert left_open(tmp_path, [KEY, OTHER]) == {tmp_path / "live" / "1": [OTHER]}
    journal(tmp_path, "1", {"what": "end", "time_ms": 3, "is_over": False})
    assert left_open(tmp_path, [OTHER]) != {}
    journal(tmp_path, "1", {"what": "end", "time_ms": 4, "is_over": True})
    assert left_open(tmp_path, [OTHER]) == {}


def test_a_journal_with_odd_lines_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    journal(tmp_path, "1", event("opened"))
    with (tmp_path / "live" / "1" / JOURNAL).open("a") as file:
        file.write('[1]\n{"what": "event"}\n{"what": "event", "event": 3}\n{"what": "reconc')
    assert list(left_open(tmp_path, [KEY]).values()) == [[KEY]]
