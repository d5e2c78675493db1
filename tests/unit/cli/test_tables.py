"""Tables fit the width they are given, break between words and inside paths, and lose nothing."""

import pytest

from backtestkit_cli.cli.tables import columns
from backtestkit_cli.report.fold import fold

PATH = "settings.limits.average_price_candles"
ROWS = [
    {"path": PATH, "value": '["opened", "closed", "duration_hours"]', "count": 1234567},
    {"path": "settings.fill", "value": '"honest"', "count": 2},
]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        pytest.param("one two three", 20, ["one two three"], id="it fits"),
        pytest.param("one two three", 7, ["one two", "three"], id="between words"),
        pytest.param(PATH, 20, ["settings.limits.", "average_price_candle", "s"], id="a part too long for the width"),
        pytest.param(PATH, 24, ["settings.limits.", "average_price_candles"], id="after a dot of a path"),
        pytest.param("a/long/path.py:name", 12, ["a/long/path.", "py:name"], id="after a slash"),
        pytest.param("fee 0.05 per side", 8, ["fee 0.05", "per side"], id="a number that fits stays whole"),
        pytest.param("buy-the-dip-v2", 9, ["buy-the-", "dip-v2"], id="after a dash of a name"),
        pytest.param("set=careful", 8, ["set=", "careful"], id="after an equals sign"),
        pytest.param("at 2023-03-01", 10, ["at", "2023-03-01"], id="a date stays whole"),
        pytest.param("", 5, [""], id="nothing"),
        pytest.param("a  b", 1, ["a", "b"], id="two blanks"),
    ],
)
def test_a_text_is_folded(text: str, width: int, lines: list[str]) -> None:
    assert fold(text, width) == lines


@pytest.mark.parametrize("width", [60, 70, 80])
def test_a_table_fits_its_width_with_every_name_whole(width: int) -> None:
    shown = columns(ROWS, width)
    assert max(map(len, shown.splitlines())) <= width
    for row in ROWS:
        for piece in str(row["value"]).split() + str(row["path"]).replace(".", ". ").split():
            assert piece.strip(",") in shown
    assert "1,234,567" in shown


def test_names_are_broken_only_where_nothing_else_helps() -> None:
    shown = columns(ROWS, 40)
    assert max(map(len, shown.splitlines())) <= 40
    assert "average_price_candles" not in shown
    assert "1,234,567" in shown


def test_without_a_width_every_row_is_one_line() -> None:
    assert len(columns(ROWS).splitlines()) == 1 + len(ROWS)
    assert columns(ROWS) == columns(ROWS, 200)


def test_numbers_stay_whole_even_where_nothing_fits() -> None:
    assert "1,234,567" in columns([{"a": 1234567, "b": 7654321}], 5)


def test_the_columns_of_a_folded_row_stay_apart() -> None:
    lines = columns([{"name": "one two three four", "note": "six seven eight nine"}], 22).splitlines()
    assert lines == [
        "name        note",
        "one two     six seven",
        "three four  eight nine",
    ]


def test_dates_stay_whole() -> None:
    shown = columns([{"at": "2023-03-01 10:00", "note": "one two three four five"}, {"at": None, "note": "six"}], 30)
    assert max(map(len, shown.splitlines())) <= 30
    assert "2023-03-01 10:00" in shown
