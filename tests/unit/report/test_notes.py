"""Notes of signals in reports."""

from dataclasses import replace

from make import Deal, run, stream

from backtestkit_cli.report.build import build
from backtestkit_cli.report.markdown import markdown


def test_notes_of_signals_are_told_only_when_asked_for() -> None:
    told = run(stream(Deal(note="broke out")))
    assert "broke out" in markdown(build(told))
    assert "broke out" not in markdown(build(replace(told, shows_notes=False)))
