"""Strategies that look ahead are found, and those that only seem to are not accused.

`tests/data/lookahead` holds strategies as people write them, both forms of Python: `bugs` each see later candles in
some way, `clean` are near misses. Each has one market here, taken from its place in the list; `LOOKAHEAD_SEEDS=1,2,3`
checks all on each of these markets.
"""

import os
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from backtestkit_cli import Kit
from backtestkit_cli.data.sample import SampleExchange
from backtestkit_cli.model.time import DAY_MS, parse_time
from backtestkit_cli.run.checks.remark import Remark

CORPUS = Path(__file__).parent.parent / "data" / "lookahead"
START_MS = parse_time("2023-03-01")
DAYS = 5
SEEDS = tuple(int(one) for one in os.environ.get("LOOKAHEAD_SEEDS", "").split(",") if one)
BUGS, CLEAN = (sorted((CORPUS / kind).glob("*.py")) for kind in ("bugs", "clean"))
ACCUSED = {"looks-ahead", "not-deterministic", "carries-state", "probe-raised"}
NOT_SEEN_BY_THE_QUICK_FORM = {"asked_one_row_too_far", "asked_reads_later_rows", "asked_tuned_on_the_file"}
"""They read files, which a backtest does not cut."""


def cases(files: list[Path]) -> list[object]:
    markets = [(path, seed) for place, path in enumerate(files) for seed in SEEDS or (place % 5 + 1,)]
    return [pytest.param(path, seed, id=f"{path.stem}-{seed}") for path, seed in markets]


@cache
def market(seed: int) -> pl.DataFrame:
    return SampleExchange(seed).candles("BTCUSDT", START_MS - 10 * DAY_MS, START_MS + (DAYS + 3) * DAY_MS)


def project(folder: Path, strategy: Path, seed: int) -> Kit:
    """A project with one strategy, and with files that know all candles of the market."""
    for name in ("configs", "data", "strategies"):
        (folder / name).mkdir()
    rows, data = market(seed), folder / "data"
    rows.write_csv(data / "BTCUSDT.csv")
    rows.write_parquet(data / "BTCUSDT.parquet")
    hours = rows.with_columns(date=pl.from_epoch("time", time_unit="ms")).group_by_dynamic("date", every="1h")
    hourly = hours.agg(pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last())
    hourly.with_columns(pl.col("date").dt.strftime("%Y-%m-%d %H:%M:%S")).write_csv(data / "hourly.csv")
    is_eighth = pl.col("time") % (DAY_MS // 3) == 0
    rows.filter(is_eighth).select("time", rate=(pl.col("close") / pl.col("open") - 1) / 5).write_csv(
        data / "funding.csv"
    )
    (folder / "strategies" / strategy.name).write_text(strategy.read_text("utf-8"), "utf-8")
    (folder / "configs" / "all.yaml").write_text(
        "settings: {defaults: {symbols: [BTCUSDT], exchange: sample, frame: days}}\n"
        f"exchanges: [{{name: sample, use: sample, seed: {seed}}}]\n"
        f"frames: [{{name: days, start: 2023-03-01, end: 2023-03-0{1 + DAYS}}}]\n"
        f"strategies: [{{name: one, interval: 15m, use: 'strategies/{strategy.name}:call', warm_up: 2d}}]\n"
    )
    return Kit.load(folder / "configs")


def accusations(remarks: tuple[Remark, ...]) -> list[Remark]:
    return [remark for remark in remarks if remark.code in ACCUSED]


def test_the_corpus_is_large_and_of_both_forms() -> None:
    for files in (BUGS, CLEAN):
        assert len(files) >= 20
        assert sum("market: Market" in path.read_text("utf-8") for path in files) >= 4


@pytest.mark.parametrize(("strategy", "seed"), cases(BUGS))
def test_every_look_ahead_is_found(strategy: Path, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = project(tmp_path, strategy, seed)
    monkeypatch.chdir(tmp_path)
    found = [remark for remark in kit.check("one").run() if remark.code == "looks-ahead"]
    assert found
    assert found[0].level == "error"
    assert found[0].doubt is not None
    assert found[0].doubt.known != found[0].doubt.again
    if strategy.stem not in NOT_SEEN_BY_THE_QUICK_FORM:
        assert found[0].hint or "asked" in strategy.stem


@pytest.mark.parametrize(("strategy", "seed"), cases(CLEAN))
def test_no_clean_strategy_is_accused(
    strategy: Path, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = project(tmp_path, strategy, seed)
    monkeypatch.chdir(tmp_path)
    assert accusations(kit.check("one").run()) == []
    (stream,) = kit.backtest("one").run().streams
    assert stream.doubts == ()
    assert SEEDS or stream.result.funnel.drafts, "a strategy without drafts on its own market shows nothing"
