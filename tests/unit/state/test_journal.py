"""The journal of a session: what the disk does not take is counted, and a part of it can be read."""

from pathlib import Path
from typing import Any

import pytest

from backtestkit_cli.state.journal import Journal, journal_bytes, read_journal


def test_lines_that_the_disk_did_not_take_are_counted_once_it_takes_some_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []
    journal = Journal(tmp_path, heard.append)
    journal.add("tick", 1)
    journal.flush()
    journal.close()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        journal.add("tick", 2)
        journal.add("tick", 3)
    assert journal.failure is not None
    journal.add("tick", 4)
    journal.close()
    told = list(read_journal(tmp_path))
    assert [line["time_ms"] for line in told if line["what"] == "tick"] == [1, 4]
    assert [line["lines"] for line in told if line["what"] == "lost"] == [2]
    assert [line["time_ms"] for line in heard] == [1, 2, 3, 4]


def test_a_journal_is_read_up_to_a_place_without_the_kinds_that_are_not_asked_for(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal_bytes(tmp_path) == 0
    journal.add("tick", 1)
    journal.add("candle", 2)
    journal.flush()
    place = journal_bytes(tmp_path)
    journal.add("tick", 3)
    journal.close()
    assert [line["time_ms"] for line in read_journal(tmp_path, until=place)] == [1, 2]
    assert [line["time_ms"] for line in read_journal(tmp_path, until=place - 1)] == [1]
    assert [line["time_ms"] for line in read_journal(tmp_path, without=("candle",))] == [1, 3]


def is_told(journal: Journal) -> bool:
    """Whether adding a line has a failure that is new."""
    journal.add("tick", 1)
    journal.flush()
    return journal.new_failure() is not None


def test_a_failure_is_new_once_until_lines_are_written_again(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    folder.write_text("no folder", encoding="utf-8")
    journal = Journal(folder)
    assert [is_told(journal), is_told(journal)] == [True, False]
    folder.unlink()
    assert not is_told(journal)
    assert [line["what"] for line in read_journal(folder)] == ["lost", "tick"]
    journal.close()
    folder.rename(tmp_path / "elsewhere")
    folder.write_text("no folder", encoding="utf-8")
    assert [is_told(journal), is_told(journal)] == [True, False]
    journal.close()
