"""Rules about the code itself: floors, purity, light start, no output outside the command line."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import backtestkit_cli

PACKAGE = Path(backtestkit_cli.__file__).parent
FLOORS = {
    "errors": 0,
    "disk": 1,
    "redact": 1,
    "model": 1,
    "engine": 2,
    "measure": 2.5,
    "plugins": 2,
    "config": 3,
    "data": 3,
    "report": 3,
    "state": 3,
    "run": 4,
    "kit": 5,
    "cli": 6,
    "__main__": 7,
}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "templates" not in path.parts)
IMPURE = {"os", "time", "random", "logging", "socket", "subprocess", "threading", "shutil", "tempfile", "pathlib"}


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


def name_of(path: Path) -> str:
    return ".".join(("backtestkit_cli", *path.relative_to(PACKAGE).with_suffix("").parts))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_from_lower_floors_or_its_own_room(path: Path) -> None:
    own = room(name_of(path))
    if own == "__init__":
        return
    for line, module in imports(path):
        if not module.startswith("backtestkit_cli."):
            continue
        other = room(module)
        assert other == own or FLOORS[other] < FLOORS[own], f"{path.name}:{line} imports {module}"


@pytest.mark.parametrize(
    "path", [path for path in MODULES if room(name_of(path)) in ("model", "engine", "measure")], ids=name_of
)
def test_the_core_is_pure(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {module.split(".")[0] for _, module in imports(path)}
    assert not used & IMPURE
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {call.id for call in calls if isinstance(call, ast.Name)}
    attributes = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    assert not names & {"open", "print", "input", "exec", "eval"}
    assert not attributes & {"now", "utcnow", "today"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_prints_outside_the_command_line(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    assert "print" not in {call.id for call in calls if isinstance(call, ast.Name)}


def test_only_the_wall_clock_asks_for_the_time() -> None:
    asking = {name_of(path) for path in MODULES for _, module in imports(path) if module == "time"}
    assert asking <= {"backtestkit_cli.run.clock", "backtestkit_cli.run.deadline", "backtestkit_cli.run.last_resort"}


def loaded_by(*arguments: str) -> set[str]:
    code = (
        "import sys\nfrom backtestkit_cli.cli.app import run\n"
        f"code = run({list(arguments)!r})\n"
        "sys.stderr.write('LOADED ' + ' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.rpartition("LOADED ")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["backtest", "--help"], ["data", "fetch", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert not loaded_by(*arguments) & {"polars", "numpy", "ccxt", "plotly"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, backtestkit_cli; print(' '.join({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"polars", "numpy", "ccxt", "pydantic", "yaml", "typer", "rich"}


def test_the_public_names_are_these() -> None:
    assert backtestkit_cli.__all__ == [
        "SL_LEVEL1",
        "SL_LEVEL2",
        "TP_LEVEL1",
        "TP_LEVEL2",
        "TP_LEVEL3",
        "Active",
        "Cancelled",
        "CandlesLoaded",
        "Closed",
        "DecisionFailed",
        "DraftRefused",
        "DraftsMade",
        "FoldDone",
        "FrameStarted",
        "Idle",
        "Kit",
        "LevelReached",
        "ListenerFailed",
        "Market",
        "Opened",
        "OptimizerProgress",
        "Progress",
        "ProjectMade",
        "ProjectWritten",
        "QuantityCalculated",
        "QuantityLimits",
        "QuantityRefused",
        "RiskAllowed",
        "RiskCheckFailed",
        "RiskRefused",
        "RunDone",
        "RunFailed",
        "Scheduled",
        "SearchDone",
        "SignalDraft",
        "SignalEvent",
        "SourceRead",
        "StrategyDone",
        "StrategyFailed",
        "StrategyStarted",
        "StreamDone",
        "TrialDone",
        "TrialFailed",
        "WalkerDone",
        "WalkerProgress",
        "__version__",
        "atr_based",
        "dump_conversation",
        "exchange",
        "fixed_percentage",
        "kelly_criterion",
        "log",
        "memo",
        "resample",
        "strategy",
    ]
    assert all(getattr(backtestkit_cli, name) is not None for name in backtestkit_cli.__all__)
