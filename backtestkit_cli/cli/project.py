"""The project a command works in: the config it was given, and the folders beside it."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from backtestkit_cli.errors import ConfigError, Problem, Source

if TYPE_CHECKING:
    from backtestkit_cli.cli.output import Output
    from backtestkit_cli.kit import Kit

DEFAULT_CONFIG = Path("configs")


def open_kit(output: "Output", config: Sequence[Path] | None, overrides: Sequence[str] | None = None) -> "Kit":
    """Load the config; from now on its secrets are masked."""
    from backtestkit_cli.kit import Kit

    if not config and not DEFAULT_CONFIG.exists():
        what, hint = "there is no folder configs here", "`backtestkit init` writes an example; or give --config PATH"
        raise ConfigError(Problem("no-config", what, Source(file=str(DEFAULT_CONFIG.resolve())), hint=hint))
    kit = Kit.load(*(config or (DEFAULT_CONFIG,)), overrides=overrides or ())
    output.redactor = kit.config.redactor
    return kit


def logs_folder(config: Sequence[Path] | None) -> Path:
    """Where reports and run bundles are; the config itself is not read."""
    from backtestkit_cli.config.merge import project_folder

    return project_folder((config or (DEFAULT_CONFIG,))[0]) / "logs"


def short(path: Path) -> str:
    """A path as seen from here, where it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def check_writable(folder: Path) -> None:
    """Find out before a long run whether its results can be stored; nothing is made.

    Raises:
        OSError: the folder, or the nearest one above it that exists, takes no files.
    """
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
