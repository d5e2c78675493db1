"""The project a command works in: the config it was given, and the folders beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backtestkit_cli.cli.output import Output
    from backtestkit_cli.kit import Kit

DEFAULT_CONFIG = Path("configs")


def open_kit(output: "Output", config: Sequence[Path] | None, overrides: Sequence[str] | None = None) -> "Kit":
    """Load the config; from now on its secrets are masked."""
    from backtestkit_cli.kit import Kit

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
