"""The store gives back exactly what was put in, in the same bytes for ever, and believes no damaged file."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.data.market import APRIL, MARCH, candles

from backtestkit_cli.data.cache import ColumnCache, listing_hash
from backtestkit_cli.data.months import about_month, month_bytes, month_of, month_range, months_between
from backtestkit_cli.data.store import CandleStore, Coverage, Market, StoredExchange
from backtestkit_cli.disk import Disk
from backtestkit_cli.errors import DataError
from backtestkit_cli.model.candle import MarketSteps
from backtestkit_cli.model.time import MINUTE_MS, TimeRange, parse_time

WHOLE_MARCH = TimeRange(MARCH, APRIL)
STEPS = MarketSteps(price=0.5, quantity=None)


def filled(root: Path) -> CandleStore:
    """A store with the ends of March and the beginning of April of one market."""
    store = CandleStore(root)
    store.write_market(Market(exchange="made", symbol="A/B", steps=STEPS, source="test"))
    store.write_month("made", "A/B", "2023-03", candles(range(50)), WHOLE_MARCH)
    store.write_month("made", "A/B", "2023-04", candles([0, 1, 5], APRIL), TimeRange(APRIL, APRIL + 6 * MINUTE_MS))
    return store


def test_months_are_named_and_cut_in_utc() -> None:
    assert month_of(MARCH - 1) == "2023-02"
    assert month_of(MARCH) == "2023-03"
    assert month_range("2024-02") == TimeRange(parse_time("2024-02-01"), parse_time("2024-03-01"))
    assert months_between(MARCH - 1, APRIL + 1) == [
        ("2023-02", TimeRange(MARCH - 1, MARCH)),
        ("2023-03", WHOLE_MARCH),
        ("2023-04", TimeRange(APRIL, APRIL + 1)),
    ]
    assert months_between(MARCH, MARCH) == []


PRICES = st.floats(min_value=1e-9, max_value=1e12)


@st.composite
def honest_candles(draw: st.DrawFn) -> pl.DataFrame:
    minutes = sorted(draw(st.sets(st.integers(0, 44_639), max_size=12)))
    scale = draw(PRICES)
    lines = []
    for minute in minutes:
        low, open_, close, high = sorted(scale * draw(st.floats(0.5, 2.0)) for _ in range(4))
        lines.append((MARCH + minute * MINUTE_MS, open_, high, low, close, draw(st.floats(0, 1e300))))
    return pl.DataFrame(lines, schema=candles([]).schema, orient="row")


@settings(max_examples=20, deadline=None)
@given(frame=honest_candles())
def test_what_is_stored_comes_back_to_the_bit(tmp_path_factory: pytest.TempPathFactory, frame: pl.DataFrame) -> None:
    store = CandleStore(tmp_path_factory.mktemp("store"))
    store.write_month("made", "A", "2023-03", frame, WHOLE_MARCH)
    assert store.candles("made", "A", MARCH, APRIL).equals(frame)
    assert store.candles("made", "A", MARCH, APRIL).equals(frame)
    stored = store.read_month("made", "A", "2023-03")
    assert stored is not None
    assert stored[0] == WHOLE_MARCH
    assert stored[1].equals(frame)


def test_same_candles_give_the_same_bytes_however_they_were_put_together() -> None:
    frame = candles(range(3000))
    pieces = pl.concat([frame[:17], frame[17:2000], frame[2000:]], rechunk=False)
    assert month_bytes(frame, "2023-03", WHOLE_MARCH) == month_bytes(pieces, "2023-03", WHOLE_MARCH)


def test_window_of_the_store_reaches_over_months(tmp_path: Path) -> None:
    store = filled(tmp_path)
    window = store.candles("made", "A/B", MARCH + 48 * MINUTE_MS, APRIL + 5 * MINUTE_MS)
    assert window["time"].to_list() == [MARCH + n * MINUTE_MS for n in (48, 49)] + [APRIL, APRIL + MINUTE_MS]
    assert store.candles("made", "A/B", APRIL, MARCH).is_empty()


def test_store_tells_what_it_holds(tmp_path: Path) -> None:
    store = filled(tmp_path)
    end_ms = APRIL + 6 * MINUTE_MS
    assert store.coverage() == [
        Coverage(exchange="made", symbol="A/B", months=2, rows=53, candles=TimeRange(MARCH, end_ms))
    ]
    assert [(month.month, month.rows, month.asked.end_ms) for month in store.months("made", "A/B")] == [
        ("2023-03", 50, APRIL),
        ("2023-04", 3, end_ms),
    ]
    exchange = StoredExchange(store, "made")
    assert (exchange.end_ms("A/B"), exchange.steps("A/B")) == (end_ms, STEPS)
    assert store.market("made", "A/B").source == "test"


def test_fingerprint_of_the_store_follows_its_content(tmp_path: Path) -> None:
    store, twin = filled(tmp_path / "one"), filled(tmp_path / "two")
    before = store.fingerprint("made", "A/B")
    assert before == twin.fingerprint("made", "A/B")
    store.write_month("made", "A/B", "2023-04", candles([0, 1, 6], APRIL), TimeRange(APRIL, APRIL + 7 * MINUTE_MS))
    assert store.fingerprint("made", "A/B") != before


def test_unknown_market_is_refused_with_what_is_there(tmp_path: Path) -> None:
    store = filled(tmp_path)
    for ask in (store.columns, store.steps, store.end_ms):
        with pytest.raises(DataError) as caught:
            ask("made", "C")
        assert caught.value.code == "no-stored-candles"
        assert caught.value.problems[0].found == "made A/B"


def test_bad_candles_do_not_get_into_the_store(tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    with pytest.raises(DataError):
        store.write_month("made", "A", "2023-03", candles([2, 1]), WHOLE_MARCH)
    with pytest.raises(ValueError, match="outside"):
        store.write_month("made", "A", "2023-04", candles([1, 2]), WHOLE_MARCH)
    assert list(tmp_path.rglob("*.parquet")) == []


def month_path(root: Path, month: str = "2023-03") -> Path:
    return root / "made" / "A%2FB" / "1m" / f"{month}.parquet"


def cache_folder(root: Path) -> Path:
    return root / "made" / "A%2FB" / "1m" / "cache"


def test_changed_byte_anywhere_in_a_month_file_is_noticed(tmp_path: Path) -> None:
    store = filled(tmp_path)
    path = month_path(tmp_path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 17):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(DataError) as caught:
            store.candles("made", "A/B", MARCH, APRIL)
        assert caught.value.code == "month-file-damaged"


def test_month_file_of_another_make_is_refused(tmp_path: Path) -> None:
    store = filled(tmp_path)
    candles(range(3)).write_parquet(month_path(tmp_path))
    with pytest.raises(DataError) as caught:
        store.months("made", "A/B")
    assert caught.value.problems[0].hint == "remove the file and fetch the month again; nothing else depends on it"


def test_damaged_note_about_a_market_is_refused(tmp_path: Path) -> None:
    store = filled(tmp_path)
    for text in ("", "{", "[]", "null", '{"steps": {}}', '{"steps": {"size": 1}}'):
        (tmp_path / "made" / "A%2FB" / "market.json").write_text(text)
        with pytest.raises(DataError) as caught:
            store.steps("made", "A/B")
        assert caught.value.code == "market-file-damaged"


def test_cache_is_used_and_belongs_to_its_months_only(tmp_path: Path) -> None:
    store = filled(tmp_path)
    made = store.columns("made", "A/B")
    paths = [month_path(tmp_path), month_path(tmp_path, "2023-04")]
    cached = ColumnCache(cache_folder(tmp_path)).read(listing_hash(paths))
    assert cached is not None
    for column, twin in zip(made, cached, strict=True):
        assert np.array_equal(column, twin)
    assert ColumnCache(cache_folder(tmp_path)).read(listing_hash(paths[:1])) is None
    store.write_month("made", "A/B", "2023-04", candles([0], APRIL), TimeRange(APRIL, APRIL + MINUTE_MS))
    assert len(store.columns("made", "A/B").time) == 51


@pytest.mark.parametrize("name", ["time.npy", "open.npy", "volume.npy", "cache.json"])
def test_damaged_cache_is_made_again(tmp_path: Path, name: str) -> None:
    store = filled(tmp_path)
    honest = store.candles("made", "A/B", MARCH, APRIL + MINUTE_MS)
    path = cache_folder(tmp_path) / name
    whole = path.read_bytes()
    damaged = [whole[:cut] for cut in (0, 5, 70, len(whole) // 2, len(whole) - 1)]
    damaged += [whole[:n] + bytes([whole[n] ^ 1]) + whole[n + 1 :] for n in range(0, len(whole), 61)]
    damaged += [b"\0" * len(whole), b"[]", b"{}", np.lib.format.MAGIC_PREFIX * 20]
    for content in damaged:
        path.unlink()
        path.write_bytes(content)
        assert store.candles("made", "A/B", MARCH, APRIL + MINUTE_MS).equals(honest)
    path.unlink()
    assert store.candles("made", "A/B", MARCH, APRIL + MINUTE_MS).equals(honest)
    assert path.read_bytes() == whole


class FullDisk(Disk):
    """A disk without space."""

    def write(self, descriptor: int, payload: memoryview) -> int:
        raise OSError(28, "No space left on device")


def test_candles_are_read_without_space_for_a_cache(tmp_path: Path) -> None:
    filled(tmp_path)
    store = CandleStore(tmp_path, disk=FullDisk())
    assert len(store.candles("made", "A/B", MARCH, APRIL)) == 50
    assert list(cache_folder(tmp_path).iterdir()) == []


def test_month_file_knows_what_was_asked(tmp_path: Path) -> None:
    filled(tmp_path)
    about = about_month(month_path(tmp_path, "2023-04"))
    assert (about.rows, about.first_ms, about.last_ms) == (3, APRIL, APRIL + 5 * MINUTE_MS)
    note = json.loads((tmp_path / "made" / "A%2FB" / "market.json").read_text())
    assert note == {
        "exchange": "made",
        "symbol": "A/B",
        "source": "test",
        "steps": {"price": 0.5, "quantity": None},
    }
