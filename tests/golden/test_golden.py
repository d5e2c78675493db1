"""The mode `reference` equals recordings of the original: events, calls, figures, reports, tables."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from golden.golden_cases import Case, read_text
from golden.golden_compare import compare_case, compare_table, new_tallies
from golden.golden_tables import TABLES
from golden.run_golden import main
from shared import SHARED, needs_shared

COPIES = Path(__file__).parent / "original"
COPIED = {path.parent.name: path.parent for path in sorted(COPIES.glob("*/case.yaml"))}
OTHERS = [path.parent for path in sorted((SHARED / "golden").glob("*/case.yaml")) if path.parent.name not in COPIED]


def comparable(folders: Iterable[Path]) -> list[Path]:
    return [folder for folder in folders if not Case(folder).is_due]


def compare(folder: Path) -> None:
    tallies = new_tallies()
    compare_case(folder, tallies)
    assert [text for tally in tallies.values() for text in tally.found] == []
    assert tallies["events"].total > 0
    assert tallies["statistics"].total > 0


@pytest.mark.parametrize("folder", comparable(COPIED.values()), ids=lambda path: path.name)
def test_a_recorded_case_is_reproduced_to_the_last_bit(folder: Path) -> None:
    compare(folder)


@needs_shared
@pytest.mark.parametrize("folder", comparable(OTHERS), ids=lambda path: path.name)
def test_a_large_recorded_case_is_reproduced_to_the_last_bit(folder: Path) -> None:
    compare(folder)


@pytest.mark.parametrize("table", TABLES)
def test_a_recorded_table_is_reproduced(table: str) -> None:
    tally = new_tallies()["tables"]
    compare_table(COPIES / "tables", table, tally)
    assert tally.found == []
    assert tally.total > 0


def test_the_comparison_says_that_all_is_equal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _link(tmp_path, "12_scheduled_cancelled_by_sl", "36_live_restore_scheduled")
    assert main(tmp_path) == 0
    written = capsys.readouterr().out
    assert "cases compared: 2; due: none" in written
    assert "writes                  28 / 28 equal" in written


def test_a_case_of_a_mode_that_nothing_drives_is_named_as_due(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _link(tmp_path, "12_scheduled_cancelled_by_sl")
    _rewrite(_link(tmp_path, "36_live_restore_scheduled"), "case.yaml", "mode: live_ticks", "mode: orders")
    assert main(tmp_path) == 0
    assert "cases compared: 1; due: 36_live_restore_scheduled" in capsys.readouterr().out


def test_the_comparison_names_a_document_that_differs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = _link(tmp_path, "36_live_restore_scheduled")
    _rewrite(folder, "expected.json", '"key":"levels","value":{}', '"key":"levels","value":null')
    assert main(tmp_path) == 1
    assert "writes: 36_live_restore_scheduled: [10].value: expected None, found {}" in capsys.readouterr().out


def test_the_comparison_names_what_differs_and_fails(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = _link(tmp_path, "12_scheduled_cancelled_by_sl")
    _rewrite(folder, "expected.json", '"close_reason":"stop_loss"', '"close_reason":"take_profit"')
    assert main(tmp_path) == 1
    assert "expected 'take_profit', found 'stop_loss'" in capsys.readouterr().out


def test_an_empty_folder_is_no_success(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(tmp_path) == 1
    assert "holds no recordings" in capsys.readouterr().out


def _rewrite(folder: Path, name: str, old: str, new: str) -> None:
    """Change a file of a linked recording, which becomes a plain copy of its own."""
    text = read_text(folder, name)
    assert text is not None
    assert old in text
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_text(text.replace(old, new), encoding="utf-8")


def _link(into: Path, *names: str) -> Path:
    """A folder with some of the recordings."""
    for name in names:
        for path in COPIED[name].rglob("*"):
            target = into / name / path.relative_to(COPIED[name])
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                target.symlink_to(path)
    return into / names[0]
