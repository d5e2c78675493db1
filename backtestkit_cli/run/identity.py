"""What decides a run, as its id: config, code, candles and options. The same run has the same id."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from backtestkit_cli import __version__
from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.stored import without_secrets
from backtestkit_cli.engine.result import StreamRun
from backtestkit_cli.model.policy import ReferencePolicy
from backtestkit_cli.run.plan import Plan
from backtestkit_cli.run.standing import Key


def run_id(config: Config, plan: Plan, streams: Sequence[StreamRun], status: str, stopped_ms: Mapping[Key, int]) -> str:
    """Twelve hex digits of what decides a run: config, code, candles, options, stops; the same run has the same id."""
    decided: dict[str, Any] = {
        "package": __version__,
        "status": status,
        "settings": config.settings.model_dump(mode="json", exclude={"notify", "state", "broker", "columns"}),
        "exchange": without_secrets(config.exchanges[plan.exchange].model_dump(mode="json")),
        "strategies": {
            name: [config.strategies[name].model_dump(mode="json"), code_hash(config, name)] for name in plan.strategies
        },
        "risks": [_risk(config, name) for name in _risks(config, plan.strategies)],
        "sizings": [_sizing(config, name) for name in _sizings(config, plan.strategies)],
        "frame": [plan.frame, plan.range.start_ms, plan.range.end_ms, plan.tick.value],
        "candles": [[stream.strategy, stream.symbol, stream.candles.fingerprint] for stream in streams],
    }
    if stopped_ms:
        decided["stopped"] = sorted([*key, time_ms] for key, time_ms in stopped_ms.items())
    if isinstance(plan.policy, ReferencePolicy):
        decided |= {"order": [plan.strategies, plan.symbols], "present": plan.present_ms}
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:12]


def code_hash(config: Config, name: str) -> str | None:
    """The hash of the file a strategy's code or signals stand in; None for rules and installed modules."""
    schema = config.strategies[name]
    if schema.signals:
        return _file_hash(config.project / schema.signals)
    return next(_file_hashes(config, [schema.use or ""]))


def _file_hashes(config: Config, references: Iterable[object]) -> Iterator[str | None]:
    """The hash of the file of each reference such as `path.py:name`; None for all others."""
    for reference in references:
        is_file = isinstance(reference, str) and ".py:" in reference
        yield _file_hash(config.project / str(reference).rpartition(":")[0]) if is_file else None


def _file_hash(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _risks(config: Config, strategies: Iterable[str]) -> list[str]:
    return sorted({risk for name in strategies for risk in config.strategies[name].risk_names})


def _sizings(config: Config, strategies: Iterable[str]) -> list[str]:
    return sorted({sizing for name in strategies if (sizing := config.strategies[name].sizing)})


def _risk(config: Config, name: str) -> list[Any]:
    schema = config.risks[name]
    return [schema.model_dump(mode="json"), *_file_hashes(config, schema.checks or ())]


def _sizing(config: Config, name: str) -> list[Any]:
    schema = config.sizings[name]
    return [schema.model_dump(mode="json"), *_file_hashes(config, [schema.method])]
