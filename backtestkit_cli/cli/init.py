"""`backtestkit init`: a project that runs, from our own examples."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from backtestkit_cli.cli.options import JsonOption, VerboseOption
from backtestkit_cli.cli.output import Output
from backtestkit_cli.errors import Problem, Source, UsageError

FOLDERS = ("configs", "strategies")


def init(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Folder of the project.")] = Path(),
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> int:
    """Write an example project: configs, strategies, a folder for results. Nothing existing is overwritten."""
    output = Output(as_json=as_json, verbose=verbose)
    templates = _templates()
    files = [path.relative_to(templates) for folder in FOLDERS for path in sorted((templates / folder).rglob("*"))]
    files = [path for path in files if (templates / path).is_file() and "__pycache__" not in path.parts]
    for path in files:
        if (directory / path).exists():
            where = Source(file=str(directory / path))
            raise UsageError(Problem("file-exists", "this file is there already", where, hint="choose an empty folder"))
    if directory.exists() and not directory.is_dir():
        raise UsageError(Problem("no-folder", "this is no folder", Source(file=str(directory))))
    for path in files:
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(templates / path, directory / path)
    ignored = directory / ".gitignore"
    if not ignored.exists():
        ignored.write_text("/data/\n/state/\n/logs/\n", encoding="utf-8")
    step = "backtestkit backtest ema-cross"
    text = "\n".join([*(f"wrote {directory / path}" for path in files), "", f"Next: {_change_to(directory)}{step}"])
    output.result({"directory": str(directory), "files": [str(path) for path in files], "next": step}, text)
    return 0


def _change_to(directory: Path) -> str:
    return "" if directory == Path() else f"cd {directory} && "


def _templates() -> Path:
    """Inside the installed package, else beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "templates"
    return inside if inside.is_dir() else package.parent
