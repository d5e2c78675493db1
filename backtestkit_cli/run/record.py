"""What the manifest of a run says: when and with what it was done, and how it can be done again.

A change can be named by these:

* `rerun`: the request and the config as plain values, secrets masked.
* `sources`: the hash of every file of the project, or installed module, that code or signals of the run stand in.
* `package`: one hash over the code of this program; its version stays the same while it is worked on.
* `candle_months`: a checksum of each UTC month of the candles of each stream.
"""

import hashlib
import importlib.util
import platform
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import backtestkit_cli
from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.show import effective, overridden
from backtestkit_cli.config.stored import kept
from backtestkit_cli.engine.result import RunResult, StreamRun
from backtestkit_cli.model.time import iso, parse_time
from backtestkit_cli.run.asked_model import answers_path
from backtestkit_cli.run.plan import Plan
from backtestkit_cli.run.request import Request


def manifest_of(config: Config, plan: Plan, run: RunResult, *, times_ms: tuple[int, int], jobs: int) -> dict[str, Any]:
    """Everything that is written beside the results; `times_ms` are start and end (UTC ms)."""
    started_ms, finished_ms = times_ms
    return {
        "started_at": iso(started_ms),
        "finished_at": iso(finished_ms),
        "duration_ms": finished_ms - started_ms,
        "versions": versions(),
        "python": platform.python_version(),
        "jobs": jobs,
        "exchange": plan.exchange,
        "frame": plan.frame,
        "range": [iso(plan.range.start_ms), iso(plan.range.end_ms)],
        "strategies": list(plan.strategies),
        "symbols": list(plan.symbols),
        "candles": {_stream(one): one.candles.fingerprint for one in run.streams},
        "config": {row.path: row.value for row in effective(config)},
        "overrides": overridden(config),
        "listener_warnings": list(run.warnings),
        "rerun": {
            "request": _request(config, plan),
            "config": kept(config, used_by(config, plan.strategies, plan.exchange, plan.frame)),
        },
        "sources": sources(config, plan),
        "package": package_hash(),
        "candle_months": {_stream(one): dict(one.candles.months) for one in run.streams},
    }


def versions() -> dict[str, str]:
    """The versions of this program and of what computes in it."""
    return {name: version(name) for name in ("backtestkit-cli", "numpy", "polars")}


def request_of(rerun: dict[str, Any]) -> Request:
    """The request that was kept."""
    told = rerun["request"]
    return Request(
        strategies=tuple(told["strategies"]),
        symbols=tuple(told["symbols"]),
        exchange=told["exchange"],
        frame=told["frame"],
        range=told["range"],
    )


def sources(config: Config, plan: Plan) -> dict[str, str]:
    """Each file of the project, or installed module, that code or signals of a run stand in, with its SHA-256.

    `missing` for one that is not there. It is the same wherever the project and the packages lie.
    """
    return {place: _hash(path) for place, path in sorted(set(_places(config, plan)))}


@cache
def package_hash() -> str:
    """SHA-256 over every module of this program."""
    folder = Path(backtestkit_cli.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)} ".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _stream(stream: StreamRun) -> str:
    return f"{stream.strategy} {stream.symbol}"


def _request(config: Config, plan: Plan) -> dict[str, Any]:
    is_frame = _is_frame(config, plan)
    return {
        "strategies": list(plan.strategies),
        "symbols": list(plan.symbols),
        "exchange": plan.exchange,
        "frame": plan.frame if is_frame else None,
        "range": None if is_frame else plan.frame,
    }


def _is_frame(config: Config, plan: Plan) -> bool:
    """Whether a frame was asked for; one may be called like a range."""
    schema = config.frames.get(plan.frame)
    if schema is None:
        return False
    asked = (plan.range.start_ms, plan.range.end_ms, plan.tick)
    return (parse_time(schema.start), parse_time(schema.end), schema.interval) == asked


def used_by(config: Config, strategies: Sequence[str], exchange: str, frame: str | None) -> dict[str, set[str]]:
    """The names of each kind that a run used, or that the defaults name."""
    defaults = config.settings.defaults
    schemas = [config.strategies[name] for name in strategies]
    return {
        "exchanges": {exchange, *filter(None, [defaults.exchange])},
        "frames": {*filter(None, [frame, defaults.frame])},
        "strategies": set(strategies),
        "risks": {risk for schema in schemas for risk in schema.risk_names},
        "sizings": {schema.sizing for schema in schemas if schema.sizing},
    }


def _places(config: Config, plan: Plan) -> Iterator[tuple[str, Path]]:
    references: list[object] = []
    for name in plan.strategies:
        schema = config.strategies[name]
        if schema.signals:
            yield str(schema.signals), config.project / schema.signals
        if schema.use == "llm":
            yield answers_path(schema), config.project / answers_path(schema)
        references.append(schema.use)
        for risk in schema.risk_names:
            references += config.risks[risk].checks or ()
        if schema.sizing:
            references.append(config.sizings[schema.sizing].method)
    for reference in references:
        if isinstance(reference, str) and ":" in reference:
            place = reference.rpartition(":")[0]
            path = _file_of(config.project, place)
            if path is not None:
                yield place, path


def _file_of(project: Path, place: str) -> Path | None:
    """The file of `path.py`, or of an installed `package.module`; None for what has no file of its own."""
    if place.endswith(".py") or "/" in place:
        return project / place
    with suppress(ImportError, ValueError, AttributeError):
        found = importlib.util.find_spec(place)
        return Path(found.origin) if found and found.has_location and found.origin else None
    return None


def _hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "missing"
