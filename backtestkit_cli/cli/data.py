"""`backtestkit data`: candles in, and what is odd about them."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtestkit_cli.cli import complete
from backtestkit_cli.cli.options import ConfigOption, JsonOption, SetOption, VerboseOption
from backtestkit_cli.cli.output import Output
from backtestkit_cli.cli.project import open_kit
from backtestkit_cli.cli.tables import columns, pairs, spark
from backtestkit_cli.errors import ConfigError, DataError, Problem, UsageError
from backtestkit_cli.model.time import iso

if TYPE_CHECKING:
    import polars as pl

    from backtestkit_cli.data.fetch import FetchReport
    from backtestkit_cli.data.store import CandleStore

app = typer.Typer(help="Fetch, import, audit and show candles.", no_args_is_help=True, rich_markup_mode=None)

NeededExchange = Annotated[
    str,
    typer.Option(
        "--exchange",
        "-e",
        metavar="E",
        help="Name of an exchange of the config.",
        autocompletion=complete.exchanges,
    ),
]
NeededSymbol = Annotated[
    str,
    typer.Option("--symbol", "-s", metavar="S", help="Market such as BTCUSDT.", autocompletion=complete.symbols),
]
What = Annotated[str, typer.Argument(metavar="WHAT", help="EXCHANGE/SYMBOL of the store, or a file.")]
_SHOWN = 10


@app.command()
def fetch(
    exchange: NeededExchange,
    symbol: NeededSymbol,
    range_: Annotated[
        str, typer.Option("--range", "-r", metavar="A..B", help="Period, such as 2023-03-01..2023-04-01.")
    ],
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Download 1m candles into the store; what is there already is not asked again."""
    output = Output(as_json=as_json, verbose=verbose)
    kit = open_kit(output, config, set_)
    from backtestkit_cli.run.plan import read_range, unknown_name
    from backtestkit_cli.run.sources import fetch_into_store, remote_source

    if exchange not in kit.config.exchanges:
        raise UsageError(unknown_name("exchange", exchange, kit.config.exchanges))
    read_range(range_)  # before anything of the exchange is loaded

    def on_progress(done: int, total: int) -> None:
        if sys.stderr.isatty() and not as_json:
            sys.stderr.write(f"\r{exchange} {symbol}: {done} of {total} months" + ("\n" if done == total else ""))
            sys.stderr.flush()

    with redirect_stdout(sys.stderr):
        source = remote_source(kit.config, exchange, kit.registry)
        if (patience := getattr(source, "patience", None)) is not None:
            patience.tell = output.tell
        report = fetch_into_store(kit.config, exchange, source, symbol, range_, on_progress)
    tally = getattr(source, "tally", None)
    met = {
        name: getattr(tally, name) for name in ("requests", "retries", "duplicates", "dropped") if hasattr(tally, name)
    }
    return _tell_stored(output, exchange, symbol, report, met)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Parquet or CSV of 1m candles, Binance dumps too.")],
    exchange: NeededExchange,
    symbol: NeededSymbol,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Put a file of 1m candles into the store."""
    output = Output(as_json=as_json, verbose=verbose)
    kit = open_kit(output, config, set_)
    from backtestkit_cli.data.fetch import import_file
    from backtestkit_cli.run.clock import WallClock
    from backtestkit_cli.run.plan import checked_symbol, unknown_name
    from backtestkit_cli.run.sources import anomaly_of, is_local, store_of

    if exchange not in kit.config.exchanges:
        raise UsageError(unknown_name("exchange", exchange, kit.config.exchanges))
    if is_local(kit.config.exchanges[exchange]):
        what = f"the exchange {exchange} does not read the store"
        hint = "import into an exchange with `use: ccxt` or a plugin, or give the file to one with `use: files`"
        raise ConfigError(Problem("not-stored", what, kit.config.where("exchanges", exchange, "use"), hint=hint))
    store = store_of(kit.config.project)
    report = import_file(file, store, exchange, checked_symbol(symbol), anomaly_of(kit.config), WallClock().now_ms())
    return _tell_stored(output, exchange, symbol, report, {})


@app.command("list")
def list_(
    config: ConfigOption = None, set_: SetOption = None, as_json: JsonOption = False, verbose: VerboseOption = 0
) -> int:
    """List the markets of the store."""
    output = Output(as_json=as_json, verbose=verbose)
    found = _store(output, config, set_).coverage()
    document = [
        {
            "exchange": one.exchange,
            "symbol": one.symbol,
            "months": one.months,
            "candles": one.rows,
            "start": iso(one.candles.start_ms) if one.candles else None,
            "end": iso(one.candles.end_ms) if one.candles else None,
        }
        for one in found
    ]
    text = (
        columns(document) if document else "The store is empty; fill it with `backtestkit data fetch` or `data import`."
    )
    output.result(document, text)
    return 0


@app.command()
def audit(
    what: Annotated[
        str | None, typer.Argument(metavar="[WHAT]", help="EXCHANGE/SYMBOL, or a file. Default: the whole store.")
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Look for holes, jumps, dead minutes and faults in candles."""
    output = Output(as_json=as_json, verbose=verbose)
    if what is not None and _is_file(what):
        from backtestkit_cli.data.files import read_candles

        frames = {what: read_candles(Path(what))}
    else:
        store = _store(output, config, set_)
        known = [f"{one.exchange}/{one.symbol}" for one in store.coverage()]
        if what is not None and what not in known:
            raise DataError(_not_there(what, known))
        frames = {one: _stored(store, one) for one in ([what] if what else known)}
    from backtestkit_cli.data.audit import audit as look_through

    documents, texts = [], []
    for name, frame in frames.items():
        found = look_through(frame)
        documents.append(_audit_document(name, found))
        texts.append(_audit_text(documents[-1]))
    output.result(documents, "\n\n".join(texts) or "The store is empty; there is nothing to audit.")
    return 0


@app.command()
def show(
    what: What,
    config: ConfigOption = None,
    set_: SetOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Show what candles look like: range, prices, a picture, the last ones."""
    output = Output(as_json=as_json, verbose=verbose)
    if _is_file(what):
        from backtestkit_cli.data.files import read_candles

        frame = read_candles(Path(what))
    else:
        store = _store(output, config, set_)
        known = [f"{one.exchange}/{one.symbol}" for one in store.coverage()]
        if what not in known:
            raise DataError(_not_there(what, known))
        frame = _stored(store, what)
    times, close = frame["time"].to_list(), frame["close"].to_list()
    facts = {
        "what": what,
        "candles": len(frame),
        "start": iso(times[0]),
        "end": iso(times[-1] + 60_000),
        "lowest": frame["low"].min(),
        "highest": frame["high"].max(),
        "volume": frame["volume"].sum(),
    }
    tail = [{**row, "time": iso(row["time"])} for row in frame.tail(_SHOWN).to_dicts()]
    text = "\n\n".join([pairs(facts), spark(close), columns(tail)])
    output.result({**facts, "last": tail}, text)
    return 0


def _store(output: Output, config: list[Path] | None, set_: list[str] | None) -> "CandleStore":
    from backtestkit_cli.run.sources import store_of

    return store_of(open_kit(output, config, set_).config.project)


def _stored(store: "CandleStore", what: str) -> "pl.DataFrame":
    exchange, _, symbol = what.partition("/")
    return store.candles(exchange, symbol, 0, store.end_ms(exchange, symbol))


def _is_file(what: str) -> bool:
    return Path(what).is_file() or what.endswith((".csv", ".parquet", ".gz", ".zip"))


def _not_there(what: str, known: list[str]) -> Problem:
    hint = "name a file, or a market of the store as EXCHANGE/SYMBOL"
    return Problem(
        "unknown-market", f"the store has no {what}", expected=", ".join(known) or "none: it is empty", hint=hint
    )


def _tell_stored(output: Output, exchange: str, symbol: str, report: "FetchReport", met: dict[str, int]) -> int:
    document: dict[str, Any] = {
        "exchange": exchange,
        "symbol": symbol,
        "start": iso(report.window.start_ms),
        "end": iso(report.window.end_ms),
        "candles": report.candles,
        "missing_minutes": report.window.minutes - report.candles,
        "months_written": list(report.written),
        "months_kept": list(report.kept),
        "months_repaired": list(report.repaired),
        **met,
    }
    shown = {key: ", ".join(value) or "none" if isinstance(value, list) else value for key, value in document.items()}
    output.result(document, pairs(shown))
    return 0


def _audit_document(name: str, found: Any) -> dict[str, Any]:
    return {
        "what": name,
        "candles": found.rows,
        "start": iso(found.first_ms) if found.first_ms is not None else None,
        "end": iso(found.last_ms + 60_000) if found.last_ms is not None else None,
        "holes": len(found.holes),
        "missing_minutes": found.missing_minutes,
        "missing_percent": round(found.missing_percent, 4),
        "longest_hole_minutes": found.longest_hole_minutes,
        "zero_volume_minutes": found.zero_volume_minutes,
        "jumps": [{"time": iso(one.time_ms), "percent": round(one.percent, 4)} for one in found.jumps],
        "flat_runs": [{"start": iso(one.start_ms), "minutes": one.minutes} for one in found.flat_runs],
        "faults": dict(found.faults),
        "hole_list": [{"start": iso(one.start_ms), "minutes": one.minutes} for one in found.holes],
    }


def _audit_text(document: dict[str, Any]) -> str:
    facts = {key: value for key, value in document.items() if not isinstance(value, list | dict)}
    facts["jumps"], facts["flat_runs"] = len(document["jumps"]), len(document["flat_runs"])
    facts["faults"] = ", ".join(f"{count} {code}" for code, count in document["faults"].items()) or "none"
    parts = [pairs(facts)]
    longest = sorted(document["hole_list"], key=lambda hole: -hole["minutes"])[:_SHOWN]
    if longest:
        parts.append("Longest holes\n" + columns(longest))
    if document["jumps"]:
        parts.append(
            "Largest jumps\n" + columns(sorted(document["jumps"], key=lambda jump: -abs(jump["percent"]))[:_SHOWN])
        )
    return "\n\n".join(parts)
