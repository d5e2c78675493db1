"""Doing a stored run again: the request and the config come from its bundle, code and candles from the project.

Nobody hears it: callbacks of the config are not called, so that nothing is sent twice.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from backtestkit_cli.config.stored import restored
from backtestkit_cli.errors import DataError, Problem, Source, UsageError
from backtestkit_cli.model.time import MINUTE_MS, parse_time
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.report.dump import seal_of
from backtestkit_cli.report.stored import MANIFEST
from backtestkit_cli.run.backtest import Backtest
from backtestkit_cli.run.plan import plan_backtest
from backtestkit_cli.run.record import request_of


def read_manifest(bundle: Path) -> dict[str, Any]:
    """Read what a bundle says of its run.

    Raises:
        DataError: it is gone or damaged.
        UsageError: the run cannot be done again: it was interrupted, or an older version stored too little.
    """
    path = bundle / MANIFEST
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        what, hint = f"the manifest of run {bundle.name} cannot be read: {error}", "run the backtest again"
        raise DataError(Problem("damaged-run", what, Source(file=str(path)), hint=hint)) from None
    if not isinstance(told, dict) or told.get("run_id") != bundle.name:
        what = f"the manifest of run {bundle.name} is not the one of that run"
        raise DataError(Problem("damaged-run", what, Source(file=str(path)), hint="run the backtest again"))
    if "seal" in told and told["seal"] != seal_of(told):
        what = f"the manifest of run {bundle.name} was changed after the run"
        raise DataError(Problem("damaged-run", what, Source(file=str(path)), hint="run the backtest again"))
    if told.get("status") != "complete":
        what = f"run {bundle.name} was {told.get('status')}, so what it would have been is not known"
        raise UsageError(Problem("run-interrupted", what, Source(file=str(path)), hint="run the backtest again"))
    if "rerun" not in told or "seal" not in told:
        what = f"run {bundle.name} does not keep what is needed to do it again"
        raise UsageError(Problem("run-not-repeatable", what, Source(file=str(path)), hint="run the backtest again"))
    return told


def repeat(manifest: dict[str, Any], project: Path, registry: Registry, logs: Path) -> Backtest:
    """Plan a stored run once more.

    Raises:
        UsageError: it rests on a secret, which is not stored.
        ConfigError: this version of the program cannot do it.
    """
    rerun = manifest["rerun"]
    config = restored(rerun["config"], project, f"run {manifest['run_id']}")
    plan = plan_backtest(config, request_of(rerun))
    return Backtest(config=config, plan=plan, registry=registry, logs=logs, calls_back=False)


def total_minutes(manifest: dict[str, Any]) -> int:
    """How many minutes of market all streams of a run have together."""
    start_ms, end_ms = (parse_time(text) for text in manifest["range"])
    return (end_ms - start_ms) // MINUTE_MS * len(manifest["strategies"]) * len(manifest["symbols"])


def damages(bundle: Path, manifest: dict[str, Any]) -> tuple[str, ...]:
    """What is wrong with the files of a bundle, by the hashes its manifest keeps."""
    found = []
    for name, digest in manifest.get("files", {}).items():
        path = bundle / name
        try:
            is_whole = hashlib.sha256(path.read_bytes()).hexdigest() == digest
        except OSError:
            found.append(f"{name} is missing")
            continue
        if not is_whole:
            found.append(f"{name} was changed after the run")
    return tuple(found)
