"""What a record of the logger carries, and who hears it."""

import logging

import pytest

from backtestkit_cli import log
from backtestkit_cli.run.context import Context, inside
from backtestkit_cli.run.log import LOGGER, shown, verbosity

PLACE = ("strategy", "exchange", "frame", "symbol", "time_ms")
CONTEXT = Context(exchange="sample", frame="day", strategy="cross", symbol="BTCUSDT")


def place(record: logging.LogRecord) -> tuple[object, ...]:
    return tuple(getattr(record, name) for name in PLACE)


def test_a_record_carries_the_place_in_the_run(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER.name):
        log.info("before")
        with inside(CONTEXT, 60_000):
            log.info("inside %d", 1, extra={"mine": 5})
        log.info("after")
    nowhere = ("", "", "", "", None)
    assert [place(record) for record in caplog.records] == [
        nowhere,
        ("cross", "sample", "day", "BTCUSDT", 60_000),
        nowhere,
    ]
    assert getattr(caplog.records[1], "mine", None) == 5
    assert caplog.records[1].getMessage() == "inside 1"


def test_nobody_hears_it_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    log.error("unheard")
    assert capsys.readouterr().err == ""
    assert verbosity() == 0


@pytest.mark.parametrize(("verbose", "levels"), [(0, []), (1, ["error", "info"]), (2, ["error", "info", "debug"])])
def test_verbose_tells_lines_with_time_and_stream(verbose: int, levels: list[str]) -> None:
    lines: list[str] = []
    with shown(lines.append, verbose), inside(CONTEXT, 0):
        assert verbosity() == verbose
        log.error("x")
        log.info("x")
        log.debug("x")
    log.error("x")
    assert lines == [f"1970-01-01T00:00Z cross BTCUSDT {level}: x" for level in levels]
    assert verbosity() == 0


def test_outside_of_a_run_a_line_has_no_place() -> None:
    lines: list[str] = []
    with shown(lines.append, 1):
        log.warning("careful")
    assert lines == ["warning: careful"]
