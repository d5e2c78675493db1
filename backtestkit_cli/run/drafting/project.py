"""The project that drafts are compared in: a folder that runs as it is.

* `configs/drafts.yaml` has the exchange, the training ranges and the test as frames, the drafts as strategies, and a
  walker over them on the test. What a model wrote stands there as YAML text and nowhere else.
* Python of a model stands in `strategies/`, each draft in a file, under the line that keeps it from running by itself.
* Paths of the exchange lead back to the project it comes from; candles of the store are copied, for they are found
  inside a project only.
* The folder appears whole or not at all, and never takes the place of another one.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.stored import kept
from backtestkit_cli.disk import DISK, write_atomic
from backtestkit_cli.errors import Problem, Source, UsageError
from backtestkit_cli.model.time import TimeRange, iso
from backtestkit_cli.run.drafting.python_draft import file_of
from backtestkit_cli.run.sources import is_local, store_of

if TYPE_CHECKING:
    from backtestkit_cli.run.drafting.optimizer import DraftEntry

CONFIG_FILE = "drafts.yaml"
TEST_FRAME = "test"
_MODE = 0o644


class Seen(NamedTuple):
    """What a model was shown of one source in one training range."""

    range: TimeRange
    source: str
    rows: int


def project_values(
    config: Config, optimizer: str, drafts: Mapping[str, Mapping[str, Any]], folder: Path
) -> dict[str, Any]:
    """Give the config of a project in a folder as plain values, in the order in which one thing needs another."""
    schema = config.optimizers[optimizer]
    base = kept(config, {"exchanges": {schema.exchange}})
    settings = {key: value for key, value in base["settings"].items() if key not in ("defaults", "columns")}
    defaults = {"symbols": [schema.symbol], "exchange": schema.exchange, "frame": TEST_FRAME}
    train = [_frame(f"train-{number}", one.start, one.end) for number, one in enumerate(schema.train, 1)]
    walker = {
        "name": optimizer,
        "exchange": schema.exchange,
        "frame": TEST_FRAME,
        "metric": schema.metric,
        "strategies": list(drafts),
    }
    return {
        "settings": {"defaults": defaults, **settings},
        "exchanges": [_moved(base["exchanges"][0], config.project, folder)],
        "frames": [*train, _frame(TEST_FRAME, schema.test.start, schema.test.end)],
        "strategies": [dict(one) for one in drafts.values()],
        "walkers": [walker],
    }


def refuse_taken(folder: Path) -> None:
    """Refuse to write where something is.

    Raises:
        UsageError: there is something at that place.
    """
    if folder.exists():
        where, hint = Source(file=str(folder)), "move it away, or choose another place with --out"
        raise UsageError(Problem("file-exists", "there is something at this place already", where, hint=hint))


def write_project(
    config: Config, optimizer: str, text: str, readme: str, folder: Path, sources: Mapping[str, str]
) -> None:
    """Write a project with a config of this text, and the Python of drafts; the symbol's stored candles come along.

    Raises:
        OSError: the disk refused, or there are files at that place; then nothing is written.
    """
    schema = config.optimizers[optimizer]
    DISK.make_folder(folder.parent)
    unfinished = Path(tempfile.mkdtemp(prefix=".drafts-", dir=folder.parent))
    try:
        unfinished.chmod(0o755)
        DISK.make_folder(unfinished / "configs")
        write_atomic(unfinished / "configs" / CONFIG_FILE, text.encode("utf-8"), mode=_MODE)
        for name, source in sources.items():
            DISK.make_folder((unfinished / file_of(name)).parent)
            write_atomic(unfinished / file_of(name), source.encode("utf-8"), mode=_MODE)
        write_atomic(unfinished / "README.md", readme.encode("utf-8"), mode=_MODE)
        write_atomic(unfinished / ".gitignore", b"/data/\n/state/\n/logs/\n", mode=_MODE)
        if not is_local(config.exchanges[schema.exchange]):
            market = store_of(config.project).folder(schema.exchange, schema.symbol)
            shutil.copytree(market, store_of(unfinished).folder(schema.exchange, schema.symbol))
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def readme_text(
    config: Config,
    optimizer: str,
    entries: Sequence["DraftEntry"],
    seen: Iterable[Seen],
    place: Callable[[Path], str],
    *,
    is_blind: bool,
) -> str:
    """Say how the drafts came about, what the model saw, and what to do next; nothing that it wrote is quoted."""
    schema = config.optimizers[optimizer]
    told = (
        "It saw times from the start of each range, prices from 100, and no name of the market."
        if is_blind
        else "**It saw the name of the market, dates and prices**: what it drafted may be remembered, not found."
    )
    shown = [f"- {one.range}: {one.rows} rows of `{_code(one.source)}`" for one in seen]
    rows = [f"| {one.name} | {one.range} | {_fate(one)} | {one.tries} | `{place(one.folder)}` |" for one in entries]
    return "\n".join(
        [
            f"# Drafts of {optimizer}",
            "",
            f"Drafted by `{_code(schema.model)}` ({schema.use}) for `{_code(schema.symbol)}`. {told}",
            "",
            "It was shown:",
            "",
            *shown,
            "",
            "| Draft | Shown | What became of it | Tries | Conversation |",
            "| --- | --- | --- | ---: | --- |",
            *rows,
            "",
            f"They are compared on {iso(schema.test.start)} .. {iso(schema.test.end)}, which the model was not shown:",
            "",
            "```sh",
            *(f"backtestkit trust {file_of(one.name)}" for one in entries if one.source and one.twin is None),
            "backtestkit check",
            f"backtestkit walker {optimizer}",
            "```",
            "",
            "The best of several drafts is the best partly by luck. Test it on days that nobody has looked at",
            "before money follows.",
            "",
        ]
    )


def _fate(entry: "DraftEntry") -> str:
    if entry.strategy is None:
        return "lost: no answer could be used"
    return "taken" if entry.twin is None else f"left out: trades like {entry.twin}"


def _code(text: str) -> str:
    return text.replace("`", "'")


def _frame(name: str, start_ms: int, end_ms: int) -> dict[str, Any]:
    return {"name": name, "start": iso(start_ms), "end": iso(end_ms)}


def _moved(exchange: Mapping[str, Any], project: Path, folder: Path) -> dict[str, Any]:
    """An exchange whose relative paths are read from another folder; it calls nobody back."""
    values = {key: value for key, value in exchange.items() if key != "callbacks"}
    if "path" in values and not values["path"].startswith("${"):
        values["path"] = path_from(folder, project / values["path"])
    file, colon, name = str(values["use"]).rpartition(":")
    if colon and (file.endswith(".py") or "/" in file):
        values["use"] = f"{path_from(folder, project / file)}:{name}"
    return values


def path_from(folder: Path, path: Path) -> str:
    """Give a path as it is written in a folder."""
    return Path(os.path.relpath(path, folder.resolve())).as_posix()
