"""A column is written as its values would be, one by one."""

import json
import math
from dataclasses import replace

import make
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backtestkit_cli.model.time import iso
from backtestkit_cli.report.as_json import document, json_text
from backtestkit_cli.report.build import build
from backtestkit_cli.report.column_text import isos, reprs_of, texts_of
from backtestkit_cli.report.report import Chapter, Column, Facts, Form, Section, Table
from backtestkit_cli.report.text import MISSING, text_of

MINUTES = st.integers(0, 10**8).map(lambda minute: minute * 60_000)
TIMES = st.lists(st.none() | MINUTES | st.integers(0, 10**13), max_size=6) | st.lists(MINUTES, max_size=6)
NUMBERS = st.lists(st.none() | st.integers(-(10**6), 10**6) | st.floats() | st.booleans(), max_size=6)
FLOATS = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=6)
POWERS = st.integers(-6, 17).map(lambda power: float(f"1e{power}"))
PRICES = POWERS | st.builds(math.nextafter, POWERS, st.sampled_from((0.0, math.inf))) | st.floats(0.001, 1e6)
ANY_CELLS = st.lists(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), max_size=4)
CELLS = ANY_CELLS | FLOATS | st.lists(st.booleans()) | st.lists(st.integers()) | st.lists(st.text())
FORMS: tuple[Form, ...] = ("text", "count", "number", "signed", "price", "truth")


@given(times=TIMES)
@settings(deadline=None, derandomize=True)
def test_times_of_a_column_are_the_times_one_by_one(times: list[int | None]) -> None:
    assert isos(times) == [None if time is None else iso(time) for time in times]
    assert texts_of(times, "time") == [text_of(time, "time") for time in times]


@pytest.mark.parametrize("form", FORMS)
@given(numbers=NUMBERS | FLOATS | st.lists(PRICES, max_size=6))
@settings(deadline=None, derandomize=True)
def test_numbers_of_a_column_are_the_numbers_one_by_one(form: Form, numbers: list[float | None]) -> None:
    assert texts_of(numbers, form) == [text_of(number, form) for number in numbers]
    assert texts_of([None], form) == [MISSING]


@given(numbers=FLOATS | st.lists(PRICES, max_size=6))
@settings(deadline=None, derandomize=True)
def test_all_digits_of_a_column_are_those_of_its_numbers_one_by_one(numbers: list[float]) -> None:
    assert reprs_of(numbers) == [repr(number) for number in numbers]


@given(key=st.text(max_size=5), cells=CELLS)
@example(key="k", cells=[1, True, 1.0, 0.0, -0.0, False])
@settings(deadline=None, derandomize=True)
def test_a_table_in_the_json_text_reads_back_as_the_document(key: str, cells: list[str | float | None]) -> None:
    table = Table((Column(key=key, label="", values=cells), Column(key='100 % "of', label="", values=cells)))
    sections = (Section(key="facts", title="", block=Facts(())), Section(key="table", title="", block=table))
    chapter = Chapter(strategy="s", symbol="X", sections=sections)
    report = replace(build(make.run()), chapters=(chapter,))
    assert json.dumps(json.loads(json_text(report))) == json.dumps(document(report))  # 1, 1.0 and true are equal
