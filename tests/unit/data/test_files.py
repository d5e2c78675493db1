"""Files are read by their content; what is no file of candles is refused in clear words."""

import gzip
import os
import zipfile
from pathlib import Path

import polars as pl
import pytest
from shared import ROOT, SHARED, needs_shared
from unit.data.market import MARCH, MINUTE_MS, candles

from backtestkit_cli.data.files import FilesExchange, read_candles
from backtestkit_cli.errors import ConfigError, DataError
from backtestkit_cli.model.candle import MarketSteps

SHIPPED = ROOT / "tests" / "data" / "candles"
FIVE = candles(range(5))
HEADER = "time,open,high,low,close,volume"


def lines(times: list[str], header: str | None = HEADER) -> str:
    body = [f"{time},{n + 100},{n + 101.5},{n + 99.5},{n + 101},{1 + n % 3}" for n, time in enumerate(times)]
    return "\n".join([header, *body] if header else body) + "\n"


def ms_times(unit: int = 1) -> list[str]:
    return [str((MARCH + n * MINUTE_MS) * unit) for n in range(5)]


ISO = [f"2023-03-01T00:0{n}" for n in range(5)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(lines(ms_times()), id="milliseconds"),
        pytest.param(lines(ms_times(), None), id="without-header"),
        pytest.param(lines(ms_times(), HEADER.replace("time", "timestamp")), id="timestamp"),
        pytest.param(lines(ms_times(), HEADER.replace("time", "timestamp_ms")), id="timestamp_ms"),
        pytest.param(lines(ms_times(), HEADER.replace("time", "Open time").title()), id="title-case"),
        pytest.param("\ufeff" + lines(ms_times()), id="byte-order-mark"),
        pytest.param(lines(ms_times()).replace("\n", "\r\n"), id="windows-lines"),
        pytest.param(lines(ms_times()).replace(",", " , "), id="spaces"),
        pytest.param(lines(ISO), id="iso"),
        pytest.param(lines([f"{time}:00Z" for time in ISO]), id="iso-seconds-z"),
        pytest.param(lines([time.replace("T", " ") for time in ISO]), id="iso-space"),
        pytest.param(lines([f"2023-03-01T02:0{n}:00.000+02:00" for n in range(5)]), id="iso-offset"),
        pytest.param(lines([ISO[0], f"{ISO[1]}:00+00:00", *ISO[2:]]), id="iso-mixed"),
        pytest.param("note," + lines(ms_times()).replace("\n", "\nx,", 5), id="extra-column"),
    ],
)
def test_csv_is_read_in_each_form(tmp_path: Path, text: str) -> None:
    path = tmp_path / "some.csv"
    path.write_bytes(text.encode())
    assert read_candles(path).equals(FIVE)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(FIVE, id="own"),
        pytest.param(FIVE.rename({"time": "timestamp"}), id="timestamp"),
        pytest.param(FIVE.with_columns(pl.from_epoch("time", "ms")), id="date-time"),
        pytest.param(FIVE.with_columns(pl.from_epoch("time", "ms").dt.cast_time_unit("ns")), id="nanoseconds"),
        pytest.param(
            FIVE.with_columns(
                pl.from_epoch("time", "ms").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
            ),
            id="zone",
        ),
        pytest.param(FIVE.with_columns(pl.Series("time", ISO)), id="iso-text"),
    ],
)
def test_parquet_is_read_in_each_form(tmp_path: Path, frame: pl.DataFrame) -> None:
    frame.write_parquet(tmp_path / "some.parquet")
    assert read_candles(tmp_path / "some.parquet").equals(FIVE)


def test_packed_csv_is_read_whatever_the_name_says(tmp_path: Path) -> None:
    text = lines(ms_times()).encode()
    (tmp_path / "a.csv").write_bytes(gzip.compress(text))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("inside.csv", text)
    assert read_candles(tmp_path / "a.csv").equals(FIVE)
    assert read_candles(tmp_path / "b.zip").equals(FIVE)


@pytest.mark.parametrize("name", ["binance_2023.csv", "binance_2025.csv", "binance_2025_header.csv"])
def test_binance_dump_is_read_in_milliseconds_or_microseconds(name: str) -> None:
    frame = read_candles(SHIPPED / name)
    year = name[8:12]
    assert frame["time"].to_list() == [
        (1672531200000 if year == "2023" else 1735689600000) + n * MINUTE_MS for n in range(3)
    ]
    assert frame["volume"].to_list() == [12.5, 0.0, 3.25]


def test_microseconds_elsewhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text(lines(ms_times(1000)))
    with pytest.raises(DataError) as caught:
        read_candles(tmp_path / "some.csv")
    assert caught.value.problems[0].hint == "these look like microseconds: divide by 1000"


def written(name: str, content: bytes, folder: Path) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def parquet_bytes(folder: Path) -> bytes:
    FIVE.write_parquet(folder / "whole.parquet")
    return (folder / "whole.parquet").read_bytes()


@pytest.mark.parametrize(
    ("content", "code", "what"),
    [
        pytest.param(b"", "file-empty", "the file is empty", id="empty"),
        pytest.param(f"{HEADER}\n".encode(), "file-without-candles", "the file has a head but no candles", id="head"),
        pytest.param(
            b"PAR1 and then nothing", "file-damaged", "the parquet file is damaged or cut off", id="not-parquet"
        ),
        pytest.param(b"\x1f\x8bxxxx", "file-damaged", "the archive is damaged or cut off", id="not-gzip"),
        pytest.param(
            gzip.compress(lines(ms_times()).encode())[:-12],
            "file-damaged",
            "the archive is damaged or cut off",
            id="cut-gzip",
        ),
        pytest.param(b"PK\x03\x04xxxx", "file-damaged", "the archive is damaged or cut off", id="not-zip"),
        pytest.param(b"\x89PNG\r\n\0\0\0", "file-unknown", "the file is neither parquet nor CSV", id="picture"),
        pytest.param(
            (lines(ms_times()) + "1,2,3,4,5,6,7,8\n").encode(),
            "file-damaged",
            "the file is no CSV with the same number of cells in each line",
            id="ragged",
        ),
        pytest.param(
            lines(ms_times())[:-12].encode(),
            "candle-not-a-number",
            "1 candle with an empty, NaN or infinite value",
            id="cut-csv",
        ),
        pytest.param(
            b"1677628800000,1,2\n",
            "csv-without-header",
            "the CSV has no header and neither 6 nor 12 columns",
            id="columns",
        ),
        pytest.param(
            lines(ms_times(), "time,open,high,close,low_,volume").encode(),
            "candle-columns",
            "candles without low",
            id="low",
        ),
        pytest.param(lines(["yesterday", *ISO[1:]]).encode(), "time-unreadable", None, id="time"),
        pytest.param(
            lines(ms_times()).replace("101.5", '"1,5"').encode(),
            "cell-not-a-number",
            "1 cell in the column high cannot be read as a number",
            id="comma",
        ),
        pytest.param(b"hello\nworld\n", "candle-columns", None, id="prose"),
        pytest.param("größe\n1\n".encode("latin-1"), None, None, id="latin"),
    ],
)
def test_file_that_holds_no_candles_is_refused(
    tmp_path: Path, content: bytes, code: str | None, what: str | None
) -> None:
    with pytest.raises(DataError) as caught:
        read_candles(written("some.file", content, tmp_path))
    (problem,) = caught.value.problems
    assert code in (None, problem.code)
    assert what in (None, problem.what)
    assert problem.where is not None
    assert problem.where.file == str(tmp_path / "some.file")
    assert problem.hint


def test_number_that_cannot_be_read_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_candles(written("some.csv", lines(ms_times()).replace("102.5", "much").encode(), tmp_path))
    where = caught.value.problems[0].where
    assert where is not None
    assert where.line == 3


def test_parquet_cut_at_any_length_is_refused(tmp_path: Path) -> None:
    whole = parquet_bytes(tmp_path)
    for length in [*range(0, len(whole) - 20, 37), *range(len(whole) - 20, len(whole))]:
        with pytest.raises(DataError):
            read_candles(written("cut.parquet", whole[:length], tmp_path))


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    codes = []
    for path in (tmp_path / "nothing.csv", tmp_path):
        with pytest.raises(DataError) as caught:
            read_candles(path)
        codes.append(caught.value.code)
    assert codes == ["file-missing", "file-unreadable"]


def test_files_exchange_finds_each_symbol_in_its_file(tmp_path: Path) -> None:
    FIVE.write_parquet(written("BTC%2FUSDT.parquet", b"", tmp_path))
    exchange = FilesExchange("{symbol}.parquet", {"BTC/USDT": MarketSteps(price=0.5)}, tmp_path)
    window = exchange.candles("BTC/USDT", MARCH + 1, MARCH + 3 * MINUTE_MS)
    assert window.equals(FIVE[1:3])
    assert exchange.end_ms("BTC/USDT") == MARCH + 5 * MINUTE_MS
    assert exchange.steps("BTC/USDT") == MarketSteps(price=0.5)
    assert exchange.steps("ETH/USDT") == MarketSteps()
    with pytest.raises(DataError, match="no such file"):
        exchange.candles("ETH/USDT", MARCH, MARCH + MINUTE_MS)


def test_symbol_cannot_leave_the_folder(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    written("secret.csv", lines(ms_times()).encode(), tmp_path)
    exchange = FilesExchange("{symbol}.csv", {}, tmp_path / "inside")
    with pytest.raises(DataError, match="no such file"):
        exchange.end_ms("../secret")


def test_changed_file_is_read_again(tmp_path: Path) -> None:
    path = written("X.csv", lines(ms_times()).encode(), tmp_path)
    exchange = FilesExchange("{symbol}.csv", {}, tmp_path)
    first = exchange.end_ms("X")
    path.write_text(lines(ms_times()[:3]))
    os.utime(path, ns=(1, 1))
    assert (first, exchange.end_ms("X")) == (MARCH + 5 * MINUTE_MS, MARCH + 3 * MINUTE_MS)


def test_path_without_symbol_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        FilesExchange("candles.csv", {}, tmp_path)
    assert caught.value.code == "path-without-symbol"


@needs_shared
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("binanceus_BTCUSDT_1m_2023-03", 30_240),
        ("binanceus_BTCUSDC_1m_2023-03", 30_240),
        ("bybit_LINKUSDT_1m_gappy_2024-09", 40_000),
    ],
)
def test_real_candles_pass_the_border(name: str, rows: int) -> None:
    assert len(read_candles(SHARED / "data" / f"{name}.parquet")) == rows


def test_candles_of_five_minutes_are_not_taken_for_minutes(tmp_path: Path) -> None:
    rows = [f"{1_677_628_800_000 + minute * 300_000},1,2,0.5,1.5,3" for minute in range(20)]
    path = tmp_path / "five.csv"
    path.write_text("\n".join(["time,open,high,low,close,volume", *rows]))
    with pytest.raises(DataError) as refused:
        read_candles(path)
    assert refused.value.code == "candle-interval"
    assert "5 minutes apart" in str(refused.value)
