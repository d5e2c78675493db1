"""What decides a run, as its id: config, code, candles and options. The same run has the same id."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backtestkit_cli import __version__
from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.stored import without_secrets
from backtestkit_cli.engine.result import StreamRun
from backtestkit_cli.measure.contest import Contest
from backtestkit_cli.measure.study import Study
from backtestkit_cli.model.policy import ReferencePolicy
from backtestkit_cli.run.plan import Plan
from backtestkit_cli.run.record import sources
from backtestkit_cli.run.search.space import Space
from backtestkit_cli.run.standing import Key


def run_id(config: Config, plan: Plan, streams: Sequence[StreamRun], status: str, stopped_ms: Mapping[Key, int]) -> str:
    """Twelve hex digits of what decides a run: config, code, candles, options, stops; the same run has the same id."""
    decided: dict[str, Any] = {
        "package": __version__,
        "status": status,
        "settings": config.settings.model_dump(
            mode="json", exclude={"notify", "state", "broker", "metrics", "columns"}
        ),
        "exchange": without_secrets(config.exchanges[plan.exchange].model_dump(mode="json")),
        "strategies": {name: _decisive(config, name) for name in plan.strategies},
        "risks": [config.risks[name].model_dump(mode="json") for name in _risks(config, plan.strategies)],
        "sizings": [config.sizings[name].model_dump(mode="json") for name in _sizings(config, plan.strategies)],
        "sources": sources(config, plan),
        "frame": [plan.frame, plan.range.start_ms, plan.range.end_ms, plan.tick.value],
        "candles": [[stream.strategy, stream.symbol, stream.candles.fingerprint] for stream in streams],
    }
    if columns := config.settings.columns.model_dump(mode="json", exclude_defaults=True):
        decided["columns"] = columns  # they change report.md
    if stopped_ms:
        decided["stopped"] = sorted([*key, time_ms] for key, time_ms in stopped_ms.items())
    if isinstance(plan.policy, ReferencePolicy):
        decided |= {"order": [plan.strategies, plan.symbols], "present": plan.present_ms}
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:12]


def contest_id(contest: Contest) -> str:
    """Twelve hex digits of what decides a comparison: its runs, its metric, and who came to no result."""
    decided = {
        "walker": contest.walker,
        "metric": contest.metric,
        "status": contest.run.status,
        "contestants": [one.name for one in contest.contestants],
        "runs": [[one.contestant.name, one.run_id] for one in contest.outcomes],
        "failed": [[one.contestant.name, one.code] for one in contest.failed],
        "candles": contest.fingerprint,
    }
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:12]


def study_id(study: Study, space: Space) -> str:
    """Twelve hex digits of what decides a search: its trials, its windows, how they were chosen, and how it ended."""
    contest = study.contest
    held = () if study.held is None else (study.held,)
    judged = [one for fold in study.folds for one in (fold.chosen, fold.judged) if one is not None]
    decided = {
        "strategy": study.strategy,
        "metric": contest.metric,
        "status": contest.run.status,
        "sampler": [study.sampler, study.seed, study.asked, space],
        "windows": [study.planned_folds, study.gap_minutes, study.embargo_minutes, str(study.hold_out)],
        "runs": [[one.contestant.name, one.run_id] for one in (*contest.outcomes, *judged, *held)],
        "failed": [[one.contestant.name, one.code] for one in contest.failed],
        "candles": contest.fingerprint,
    }
    return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:12]


def _decisive(config: Config, strategy: str) -> dict[str, Any]:
    """What a strategy is, without the values that a search of it would try.

    Of a language model its answers count, which are among the sources, not who gave them.
    """
    apart = {"search", "provider", "base_url", "api_key", "answers"}
    return config.strategies[strategy].model_dump(mode="json", exclude=apart)


def _risks(config: Config, strategies: Iterable[str]) -> list[str]:
    return sorted({risk for name in strategies for risk in config.strategies[name].risk_names})


def _sizings(config: Config, strategies: Iterable[str]) -> list[str]:
    return sorted({sizing for name in strategies if (sizing := config.strategies[name].sizing)})
