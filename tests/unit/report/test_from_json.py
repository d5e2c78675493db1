"""A report that is read back from its JSON document is the report that was written."""

import json
from dataclasses import replace
from typing import Any

import pytest

from backtestkit_cli.errors import DataError
from backtestkit_cli.model.policy import ReferencePolicy
from backtestkit_cli.report.as_json import json_text
from backtestkit_cli.report.build import build
from backtestkit_cli.report.from_json import report_from
from backtestkit_cli.report.markdown import markdown

from .cases import GOLDEN, HOSTILE, winning
from .test_hostile_texts import holding


@pytest.mark.parametrize("name", GOLDEN)
def test_a_stored_report_reads_as_it_did(name: str) -> None:
    report = build(GOLDEN[name]())
    written = json_text(report)
    again = report_from(written)
    assert json_text(again) == written
    assert markdown(again) == markdown(report)
    assert (again.lead, again.overview) == (report.lead, report.overview)


def test_a_run_under_the_policy_of_the_original_reads_as_it_did() -> None:
    report = build(replace(winning(), policy=ReferencePolicy()))
    again = report_from(json_text(report))
    assert again.lead.is_optimistic
    assert markdown(again) == markdown(report)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_foreign_texts_survive(text: str) -> None:
    written = json_text(build(holding(text)))
    assert json_text(report_from(written)) == written


def without(document: dict[str, Any], *path: str) -> str:
    place = document
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return json.dumps(document)


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        "{}",
        without(json.loads(json_text(build(GOLDEN["winning"]()))), "summary", "trades"),
        without(json.loads(json_text(build(GOLDEN["winning"]()))), "run", "fill_policy"),
        json_text(build(GOLDEN["winning"]())).replace('"opened": "2023', '"opened": "soon'),
    ],
    ids=["no JSON", "a list", "empty", "no count of trades", "no policy", "a time that is none"],
)
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(DataError) as caught:
        report_from(text)
    assert caught.value.code == "damaged-report"
