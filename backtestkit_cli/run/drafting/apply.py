"""A draft of a project of drafts, `OPTIMIZER/DRAFT`, found again, and written as a strategy of the config.

No file and no name is overwritten.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from backtestkit_cli.config.edit import unknown_entry, with_entry
from backtestkit_cli.config.merge import Config, load
from backtestkit_cli.config.read import write_text
from backtestkit_cli.disk import DISK, file_name, write_atomic
from backtestkit_cli.errors import Problem, Source, UsageError
from backtestkit_cli.model.time import iso
from backtestkit_cli.run.drafting.project import CONFIG_FILE, TEST_FRAME
from backtestkit_cli.run.search.apply import MODE, Applied


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDraft:
    """A draft: its name, its strategy as a config has it, and the config of the project it lies in."""

    name: str
    strategy: Mapping[str, Any]
    made: Config

    @property
    def readme(self) -> Path:
        """What is said of how it came about."""
        return self.made.project / "README.md"


def find_draft(project: Path, source: str) -> FoundDraft:
    """Find `OPTIMIZER/DRAFT` below `drafts` of a project.

    Raises:
        UsageError: there is no such project, or no such draft in it.
        ConfigError: what lies there cannot be read any more.
    """
    optimizer, _, draft = source.partition("/")
    file = project / "drafts" / file_name(optimizer) / "configs" / CONFIG_FILE
    if not file.is_file():
        what, hint = f"no drafts of {optimizer} are here", f"backtestkit optimizer generate {optimizer}"
        raise UsageError(Problem("no-draft", what, Source(file=str(file)), hint=hint))
    made = load((file.parent,))
    if draft not in made.strategies:
        raise UsageError(unknown_entry(made.strategies, "strategies", draft))
    values = made.strategies[draft].model_dump(mode="json", exclude_unset=True)
    return FoundDraft(name=f"{optimizer}-{draft}", strategy=values, made=made)


def apply_draft(config: Config, source: str, *, name: str | None, path: Path | None, folder: Path) -> Applied:
    """Write a draft as a strategy of its own; `folder` is where the config lies.

    Raises:
        UsageError: there is no such draft, or a file would be overwritten.
        ConfigError: the name is taken, or is none.
    """
    found = find_draft(config.project, source)
    given = name or found.name
    file = path or folder / f"{given}.yaml"
    if file.exists():
        what, hint = "the file is there already, and is not overwritten", "give another one with --to, or another --as"
        raise UsageError(Problem("file-exists", what, Source(file=str(file)), hint=hint))
    values = {**found.strategy, "name": given}
    with_entry(config, "strategies", values, Source(key="--as"))
    DISK.make_folder(file.parent)
    write_atomic(file, write_text({"strategies": [values]}).encode("utf-8"), mode=MODE)
    test, defaults = found.made.frames[TEST_FRAME], found.made.settings.defaults
    symbols = " ".join(f"--symbol {quote(one)}" for one in defaults.symbols or ())
    command = f"backtestkit backtest {given} {symbols} --exchange {defaults.exchange}"
    return Applied(name=given, path=file, commands=(f"{command} --range {iso(test.start)}..{iso(test.end)}",))
