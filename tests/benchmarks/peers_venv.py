"""The virtual environment of the peers: made once, beside our own, with the Python that runs the benchmarks."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / ".venv-bench"
WANTED = {"vectorbt": "vectorbt[rust]", "backtesting": "backtesting", "pyarrow": "pyarrow"}
_TOLD = ("vectorbt", "vectorbt-rust", "backtesting", "numpy", "pandas", "numba")
_LIST = "from importlib.metadata import distributions as d; print(*(f'{x.name} {x.version}' for x in d()), sep='\\n')"


@dataclass(frozen=True, slots=True)
class PeersVenv:
    """Its Python, and the versions of what is installed in it."""

    python: Path
    versions: dict[str, str]

    def has(self, package: str) -> bool:
        """Whether a package could be installed."""
        return package in self.versions

    def __str__(self) -> str:
        return ", ".join(f"{name} {self.versions[name]}" for name in _TOLD if name in self.versions)


def peers_venv() -> PeersVenv:
    """Find the environment, or make it; what cannot be installed on this Python is told and left out."""
    python = FOLDER / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
    for name, requirement in WANTED.items():
        if name not in _versions(python) and not _install(python, requirement):
            print(f"{requirement} could not be installed on Python {sys.version.split()[0]}; it is left out")
            if requirement != name:
                _install(python, name)
    return PeersVenv(python, _versions(python))


def _install(python: Path, requirement: str) -> bool:
    print(f"installing {requirement} into {FOLDER.name} …", flush=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def _versions(python: Path) -> dict[str, str]:
    listed = subprocess.run([str(python), "-c", _LIST], capture_output=True, text=True, check=True).stdout
    return {name.lower(): version for name, _, version in (line.partition(" ") for line in listed.splitlines())}
