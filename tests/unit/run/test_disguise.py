"""What a model is not told: no date, no name of the market, no price level; and what it is told, in order."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backtestkit_cli import Kit
from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.errors import ConfigError, DataError, StrategyError
from backtestkit_cli.model.event import OptimizerProgress, SourceRead
from backtestkit_cli.model.time import MINUTE_MS, parse_time
from backtestkit_cli.run.drafting.conversation import table_text
from backtestkit_cli.run.drafting.disguise import Disguise, market_words
from backtestkit_cli.run.drafting.rows import SourceQuery

START = parse_time("2023-03-01")
NEWS = """\
time,title,close_before,mood
2023-02-28T23:00Z,too early,23000,1
2023-03-01T06:00Z,"BTC/USDT at $23,150.50 on March 1st, 2023; Bitcoin says hi",23150,7
2023-03-02T06:00Z,"btcusdt under 23.1k, 24 000 by 2024-01-01T00:00Z? 1677650400 and 3/5/23",22999.5,8
2023-03-03T00:00Z,too late,23000,9
"""


class Told:
    """A provider that keeps what it is told, and answers the same each time."""

    heard: list[Any] = []  # noqa: RUF012  # read by the tests

    def __init__(self, model: str) -> None:
        self.model = model

    def complete(self, messages: Sequence[Any], schema: Mapping[str, Any]) -> str:
        self.heard.append(messages)
        return "no"


def funding(query: SourceQuery) -> list[dict[str, Any]]:
    """Thirty rows, the last five once more; the first before the range."""
    rows = [
        {"id": number, "time": query.start_ms + (number - 1) * 3_600_000, "symbol": query.symbol, "rate": number / 1e4}
        for number in range(30)
    ]
    return [*rows, *rows[-5:]][query.offset : query.offset + query.limit]


def made(folder: Path, **keys: Any) -> Kit:
    """A project with an optimizer `o`."""
    (folder / "news.csv").write_text(NEWS)
    kit = Kit.empty(folder)
    kit.add_exchange(name="market", use="sample", seed=7)
    values: dict[str, Any] = {
        "name": "o",
        "use": Told,
        "model": "m",
        "exchange": "market",
        "symbol": "BTCUSDT",
        "hide": ["Bitcoin"],
        "train": [{"start": "2023-03-01", "end": "2023-03-03"}],
        "test": {"start": "2023-03-03", "end": "2023-03-05"},
        "sources": [
            {"candles": "4h", "indicators": {"line": "ema(close, 3)"}},
            {"name": "btc-news", "csv": "news.csv"},
            {"use": funding},
        ],
        "templates": {"task": "BTCUSDT on 2023-03-02: draft {number} of {count} of {symbol}"},
    }
    kit.add_optimizer({**values, **keys})
    Told.heard.clear()
    return kit


def told(folder: Path, *, blind: bool = True, **keys: Any) -> tuple[Kit, str]:
    """Everything that a model was told of two days, in one text."""
    kit = made(folder, **keys)
    with pytest.raises(StrategyError, match="none of 1 drafts"):
        kit.optimizer("o", blind=blind).get_data()
    return kit, "\n".join(message.content for message in Told.heard[0])


def test_no_date_no_name_and_no_price_reaches_a_model_that_is_kept_blind(tmp_path: Path) -> None:
    _, text = told(tmp_path)
    rows = text[text.index("These are the rows") :]
    assert not re.search(r"btc|bitcoin|2023|2024|march|1677", rows, re.IGNORECASE)
    known = Kit.empty(tmp_path)
    known.add_exchange(name="market", use="sample", seed=7)
    candles = known.exchange("market").candles("BTCUSDT", "1h", range="2023-03-01..2023-03-03")
    least, most = float(candles.low.min()), float(candles.high.max())
    numbers = [float(one) for one in re.findall(r"\d+(?:\.\d+)?", rows)]
    assert not [one for one in numbers if least * 0.7 < one < most * 1.4]
    assert [one for one in numbers if one == 100]  # the first open
    assert 'day 1 06:00,"ASSET/USDT at $[price] on [date], [date]; ASSET says hi",[price],7' in rows
    assert "ASSET on [date]: draft 1 of 1 of ASSET" in rows


def test_without_disguise_a_model_sees_rows_as_they_are(tmp_path: Path) -> None:
    _, text = told(tmp_path, blind=False)
    assert "of BTCUSDT" in text
    assert "2023-03-01T06:00Z" in text
    assert "too early" not in text
    assert "too late" not in text


def test_only_rows_of_the_range_are_shown_each_once(tmp_path: Path) -> None:
    _, text = told(tmp_path)
    table = text[text.index("rows of funding") :].split("\n\n")[1].splitlines()
    assert (
        len([line for line in table if line.startswith("day ")]) == 29
    )  # the row before the range is not shown, five that came twice are shown once
    candles = text[text.index("rows of candles-4h") :].split("\n\n")[1].splitlines()
    assert candles[0] == "time,open,high,low,close,volume,line"
    assert len([line for line in candles if line.startswith("day ")]) == 12
    assert "" not in candles[1].split(",")  # the indicator knows the days before


def test_who_listens_is_told_of_rows_and_of_how_far_it_is(tmp_path: Path) -> None:
    kit, _ = told(tmp_path)
    heard: list[Any] = []
    kit.on(SourceRead | OptimizerProgress, heard.append)
    with pytest.raises(StrategyError):
        kit.optimizer("o").get_data()
    read = [(one.source, len(one.rows)) for one in heard if isinstance(one, SourceRead)]
    assert read == [("candles-4h", 12), ("btc-news", 2), ("funding", 29)]
    steps = [(one.done_sources, one.done_drafts) for one in heard if isinstance(one, OptimizerProgress)]
    assert steps == [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1)]


BAD_SOURCES: dict[str, tuple[Any, type[Exception]]] = {
    "a list without ids": (lambda query: [{"rate": 1}], StrategyError),
    "no list": (lambda query: 7, StrategyError),
    "too many rows": (lambda query: [{"id": one} for one in range(26)], StrategyError),
    "a time that is none": (lambda query: [{"id": 1, "time": "noon"}], StrategyError),
}


@pytest.mark.parametrize(("source", "error"), BAD_SOURCES.values(), ids=BAD_SOURCES.keys())
def test_a_function_that_gives_no_rows_is_named(tmp_path: Path, source: Any, error: type[Exception]) -> None:
    kit = made(tmp_path, sources=[{"name": "mine", "use": source}])
    with pytest.raises(error, match=r"source mine|test_disguise"):
        kit.optimizer("o").get_data()
    assert Told.heard == []


def test_what_cannot_be_shown_is_told_before_a_model_is_asked(tmp_path: Path) -> None:
    two_weeks = [{"start": "2023-02-01", "end": "2023-02-15"}]
    long = made(tmp_path, sources=[{"candles": "1m"}], train=two_weeks)
    with pytest.raises(DataError, match="20160 rows"):
        long.optimizer("o").get_data()
    misspelt = made(tmp_path, sources=[{"candles": "1h", "indicators": {"a": "ema(close, lenght)"}}])
    with pytest.raises(ConfigError, match="lenght"):
        misspelt.optimizer("o").get_data()
    assert Told.heard == []


def test_a_text_is_filled_in_once(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("time,said\n2023-03-01T06:00Z,{symbol} {rows}\n")
    _, text = told(tmp_path, blind=False, sources=[{"csv": "n.csv", "user_message": "{name}/{odd}: {rows}"}])
    assert "n/{odd}: time,said\n2023-03-01T06:00Z,{symbol} {rows}" in text


@pytest.mark.parametrize(
    ("symbol", "words"),
    [
        ("BTCUSDT", {"BTCUSDT", "BTC"}),
        ("ETH/BTC", {"ETH/BTC", "ETHBTC", "ETH"}),
        ("BTC/USDT:USDT", {"BTC/USDT:USDT", "BTCUSDTUSDT", "BTC"}),
        ("TESTX", {"TESTX"}),
    ],
)
def test_a_market_is_known_by_its_symbol_and_its_base(symbol: str, words: set[str]) -> None:
    assert set(market_words(symbol)) == words


def flat(price: float) -> Disguise:
    column = np.full(10, price)
    candles = Candles(start_ms=START, open=column, high=column, low=column, close=column, volume=column)
    return Disguise.of(candles, START, ("SOL",))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (20.5, "[price]"),
        ("20.5 to 31", "[price] to [price]"),
        ("1,020.50", "1,020.50"),
        (1e12, "[price]"),
        (0.5, 0.5),
        (float("nan"), "[price]"),
        (True, True),
        (None, None),
        ("Sol, solar", "ASSET, solar"),
        ({"a": "12 May"}, '{"a": "[date]"}'),
    ],
)
def test_a_value_is_shown_or_hidden(value: object, shown: object) -> None:
    assert flat(20).row({"id": "2023", "x": value}) == {"x": shown}


def test_a_table_has_the_columns_of_all_its_rows() -> None:
    assert table_text([{"a": 1, "b": 0.1234567}, {"a": None, "c": "x,y"}]) == 'a,b,c\n1,0.123457,\n,,"x,y"'
    assert table_text([]) == "(no rows)"


def test_times_count_from_the_start() -> None:
    assert flat(1).time(START + 1500 * MINUTE_MS) == "day 2 01:00"
