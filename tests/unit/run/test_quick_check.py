"""The short form of `check` in a backtest: what it tells, what it leaves alone, and what it never changes."""

from pathlib import Path

import polars as pl
import pytest

from backtestkit_cli import Kit, Market, SignalDraft
from backtestkit_cli.engine.result import StreamRun
from backtestkit_cli.report.build import build
from backtestkit_cli.report.markdown import markdown
from backtestkit_cli.run.checks.quick import QuickCheck

CORPUS = Path(__file__).parents[2] / "data" / "lookahead"
CONFIG = """\
settings: {{defaults: {{symbols: [BTCUSDT], exchange: sample, frame: days}}}}
exchanges: [{{name: sample, use: sample, seed: 7}}]
frames: [{{name: days, start: 2023-03-01, end: 2023-03-{days:02d}}}]
strategies: [{{name: one, interval: 15m, use: "strategies/one.py:call", warm_up: 2d}}]
"""
DRAFT = (
    "SignalDraft(position='long', price_take_profit=price * 1.01, price_stop_loss=price * 0.99, lifetime_minutes={})"
)
HEAD = "import random\nfrom backtestkit_cli import Market, SignalDraft\n\nseen = []\n\n\ndef call(market: Market):\n"
STATE = f"{HEAD}    seen.append(1)\n    price = market.price\n    return {DRAFT.format('60 + len(seen)')}\n"
CHANCE = f"{HEAD}    price = market.price\n    return {DRAFT.format('random.SystemRandom().randint(60, 900)')}\n"
FRAGILE = """\
import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    rows = candles.collect()
    if len(rows) < 300:
        raise ValueError("too few rows")
    return rows.lazy().filter(pl.col("price").is_not_null()).select(
        "time", position=pl.lit("long"), price_take_profit=pl.col("price") * 1.01,
        price_stop_loss=pl.col("price") * 0.99, lifetime_minutes=pl.lit(60))
"""
CHANCE_IN_ROWS = """\
import random

import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    minutes = random.SystemRandom().randint(60, 900)
    return candles.filter(pl.col("price").is_not_null()).select(
        "time", position=pl.lit("long"), price_take_profit=pl.col("price") * 1.01,
        price_stop_loss=pl.col("price") * 0.99, lifetime_minutes=pl.lit(minutes))
"""
PRINTS = """\
import polars as pl

print("loaded")


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    print("called")
    return candles.filter(pl.col("price").is_not_null()).select(
        "time", position=pl.lit("long"), price_take_profit=pl.col("price") * 1.01,
        price_stop_loss=pl.col("price") * 0.99, lifetime_minutes=pl.lit(60))
"""


def kit_with(folder: Path, code: str, days: int = 4) -> Kit:
    for name in ("configs", "strategies"):
        (folder / name).mkdir()
    (folder / "strategies" / "one.py").write_text(code, "utf-8")
    (folder / "configs" / "all.yaml").write_text(CONFIG.format(days=days))
    return Kit.load(folder / "configs")


def only(kit: Kit) -> StreamRun:
    (stream,) = kit.backtest("one").run().streams
    return stream


def bug(name: str) -> str:
    return (CORPUS / "bugs" / f"{name}.py").read_text("utf-8")


@pytest.mark.parametrize("days", [4, 30], ids=["whole history", "in a window"])
@pytest.mark.parametrize("name", ["next_close", "normalised_by_everything", "centred_average", "swing_lows"])
def test_a_look_ahead_leads_the_warnings_of_the_report(name: str, days: int, tmp_path: Path) -> None:
    run = kit_with(tmp_path, bug(name), days).backtest("one").run()
    assert [doubt.code for doubt in run.streams[0].doubts][:1] == ["looks-ahead"]
    block = markdown(build(run)).partition("How far to trust it")[2].strip().splitlines()
    assert "looks ahead" in block[0]
    assert "backtestkit check one" in block[0]


def test_candles_taken_from_behind_the_market_are_a_look_ahead_too(tmp_path: Path) -> None:
    doubts = only(kit_with(tmp_path, bug("asked_behind_the_curtain"))).doubts
    assert [doubt.code for doubt in doubts] == ["looks-ahead"]


def test_state_between_decisions_is_no_look_ahead(tmp_path: Path) -> None:
    assert {doubt.code for doubt in only(kit_with(tmp_path, STATE)).doubts} == {"carries-state"}


@pytest.mark.parametrize("code", [CHANCE, CHANCE_IN_ROWS], ids=["asked", "rows"])
def test_chance_is_neither(code: str, tmp_path: Path) -> None:
    assert {doubt.code for doubt in only(kit_with(tmp_path, code)).doubts} == {"not-deterministic"}


def test_what_raises_in_a_probe_is_no_error_of_the_run(tmp_path: Path) -> None:
    stream = only(kit_with(tmp_path, FRAGILE))
    assert stream.doubts == ()
    assert len(stream.result.trades)


def test_nobody_hears_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only(kit_with(tmp_path, PRINTS))
    assert capsys.readouterr().out.split() == ["loaded", "called"]


@pytest.mark.parametrize("code", [STATE, bug("next_close")], ids=["asked", "rows"])
def test_it_changes_no_result(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = kit_with(tmp_path, code)
    job = kit.backtest("one", symbols=["BTCUSDT", "ETHUSDT"])
    with_it = job.run()
    monkeypatch.setattr(QuickCheck, "make_again", lambda *_: None)
    monkeypatch.setattr(QuickCheck, "ask_again", lambda *_: None)
    kit = Kit.load(tmp_path / "configs")
    without = kit.backtest("one", symbols=["BTCUSDT", "ETHUSDT"]).run()
    assert with_it.run_id == without.run_id
    for one, other in zip(with_it.streams, without.streams, strict=True):
        assert one.doubts
        assert list(one.result.events()) == list(other.result.events())


def test_a_function_given_by_the_program_is_not_called_again(tmp_path: Path) -> None:
    calls: list[int] = []

    def given(candles: pl.LazyFrame) -> pl.LazyFrame:
        calls.append(1)
        return candles.filter(pl.col("price").is_not_null()).select(
            "time",
            position=pl.lit("long"),
            price_take_profit=pl.col("price") * 1.01,
            price_stop_loss=pl.col("price") * 0.99,
            lifetime_minutes=pl.lit(60),
        )

    def asked(market: Market) -> SignalDraft | None:
        calls.append(2)
        return None

    kit = kit_with(tmp_path, PRINTS)
    kit.add_strategy(name="given", interval="15m", use=given)
    kit.add_strategy(name="asked", interval="6h", use=asked)
    kit.backtest("given", "asked").run()
    assert calls == [2] * 12 + [1]
