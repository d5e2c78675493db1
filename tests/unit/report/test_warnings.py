"""Warnings of several streams: each once, with whom it is about."""

from make import Deal, deals, run, stream

from backtestkit_cli.engine.result import StreamRun
from backtestkit_cli.measure.trust import trust
from backtestkit_cli.report.warnings import shared_warnings

SYMBOLS = ("A", "B", "C", "D", "E")


def told(*streams: StreamRun, balance: float | None = None) -> list[str]:
    """The texts of the shared warnings of a run."""
    whole = run(*streams, balance=balance)
    return [one.text for one in shared_warnings(whole, [trust(one, whole) for one in streams])]


def test_what_all_streams_have_stands_alone() -> None:
    assert told(*(stream(1.0, symbol=symbol) for symbol in SYMBOLS)) == [
        "a sample of 1 trade proves little: below 30 luck decides"
    ]


def test_a_few_streams_are_named() -> None:
    long = deals(*[1.0] * 30)
    assert told(stream(1.0, symbol="A"), stream(*long, symbol="B"), stream(1.0, 2.0, symbol="C")) == [
        "ema-cross on A: a sample of 1 trade proves little: below 30 luck decides",
        "ema-cross on C: a sample of 2 trades proves little: below 30 luck decides",
    ]


def test_many_warnings_of_one_kind_are_one_with_their_count() -> None:
    many = [stream(*deals(*[1.0] * (place + 1)), symbol=symbol) for place, symbol in enumerate(SYMBOLS)]
    assert told(*many, stream(*deals(*[1.0] * 30), symbol="F")) == [
        "5 of 6 streams, such as ema-cross on A: a sample of 1 trade proves little: below 30 luck decides"
    ]


def test_one_warning_of_many_streams_names_one_of_them() -> None:
    many = [stream(1.0, symbol=symbol) for symbol in SYMBOLS]
    (text,) = told(*many, stream(*deals(*[1.0] * 30), symbol="F"))
    assert text.startswith("5 of 6 streams, such as ema-cross on A: ")


def test_what_came_from_the_run_is_told_one_by_one() -> None:
    long = deals(*[1.0] * 30)
    many = [stream(*long, symbol=symbol, warnings=(f"own.py:{place} raised",)) for place, symbol in enumerate(SYMBOLS)]
    assert told(*many) == [f"ema-cross on {symbol}: own.py:{place} raised" for place, symbol in enumerate(SYMBOLS)]


def test_what_is_borrowed_together_is_told_instead_of_what_each_borrows() -> None:
    alike = [Deal(pnl=1.0, quantity=15.0, opened_hours=2 * place) for place in range(30)]
    texts = told(*(stream(*alike, symbol=symbol, sizing="careful") for symbol in "AB"), balance=1000.0)
    assert [text.split(" were worth up to ")[0] for text in texts] == ["the positions of all streams together"]
