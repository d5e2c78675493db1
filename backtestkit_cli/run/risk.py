"""Risk profiles of the config, made ready: limits, expressions and Python checks behind one ledger."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.stake_schema import AllowSchema, RiskSchema
from backtestkit_cli.engine.account import Account
from backtestkit_cli.engine.gate import Check, CheckError, Ledger, RiskProfile, RiskQuestion, reward_risk
from backtestkit_cli.engine.rules.expression import Expression
from backtestkit_cli.engine.rules.parse import RuleProblem
from backtestkit_cli.engine.rules.scalar import parse_condition, value_of
from backtestkit_cli.errors import ConfigError, Problem
from backtestkit_cli.model.event import RiskAllowed, RiskCheckFailed
from backtestkit_cli.plugins.reference import Plugin, resolve
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.context import inside
from backtestkit_cli.run.failures import Watched, failure_text, unwatched
from backtestkit_cli.run.listen import Audience

NUMBERS = frozenset(
    {
        "price",
        "price_open",
        "price_take_profit",
        "price_stop_loss",
        "take_profit_percent",
        "stop_loss_percent",
        "reward_risk",
        "lifetime_minutes",
        "positions",
        "positions_of_symbol",
        "positions_of_strategy",
        "equity",
    }
)
TRUTHS = frozenset({"is_long"})
LIMITS = (
    "max_positions",
    "max_per_symbol",
    "max_per_strategy",
    "max_long",
    "max_short",
    "max_exposure_percent",
    "max_daily_loss_percent",
    "max_drawdown_percent",
    "min_reward_risk",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldProfile(RiskProfile):
    """A profile that tells of what it lets pass; its checks run in the context of the stream that asks."""

    audience: Audience

    def refusal(self, question: RiskQuestion, account: Account | None = None) -> tuple[str, str] | None:
        """The first rule that refuses."""
        time_ms, signal, price, held, _ = question
        with inside(self.audience.context(signal.strategy, signal.symbol), time_ms):
            found = RiskProfile.refusal(self, question, account)
        if found is None and self.audience.wants(RiskAllowed):
            self.audience.tell(
                RiskAllowed(time_ms=time_ms, signal=signal, price=price, profile=self.name, open_positions=len(held))
            )
        return found


def ledger_for(
    config: Config, strategies: Sequence[str], registry: Registry, audience: Audience, watched: Watched = unwatched
) -> Ledger:
    """The ledger that streams of these strategies share, with an account where one of them is sized.

    Checks in Python are `watched`.

    Raises:
        ConfigError: an expression or a reference is wrong.
    """
    names = {risk for strategy in strategies for risk in config.strategies[strategy].risk_names}
    profiles = {name: _profile(config, config.risks[name], registry, audience, watched) for name in sorted(names)}
    balance = config.settings.balance
    is_sized = any(config.strategies[name].sizing for name in strategies)
    return Ledger(
        {one: [profiles[risk] for risk in config.strategies[one].risk_names] for one in strategies},
        account=Account(balance) if balance is not None and is_sized else None,
    )


def _profile(
    config: Config, schema: RiskSchema, registry: Registry, audience: Audience, watched: Watched
) -> RiskProfile:
    checks = {
        f"checks[{place}]": _check(config, schema, place, check, registry, audience, watched)
        for place, check in enumerate(schema.checks or ())
    }
    limits = {key: getattr(schema, key) for key in LIMITS}
    return ToldProfile(name=schema.name, checks=checks, audience=audience, **limits)


def _check(
    config: Config,
    schema: RiskSchema,
    place: int,
    check: str | AllowSchema,
    registry: Registry,
    audience: Audience,
    watched: Watched,
) -> Check:
    if isinstance(check, str):
        plugin = resolve(check, "risk_check", config.project, registry)
        function = watched(f"risk check {plugin.reference.text}", plugin.bind({}))
        return partial(_asked, plugin, function, schema.name, audience)
    try:
        condition = parse_condition(check.allow, NUMBERS if config.settings.balance else NUMBERS - {"equity"}, TRUTHS)
    except RuleProblem as problem:
        where = config.where("risks", schema.name, "checks", place, "allow")
        raise ConfigError(Problem("bad-rule", problem.what, where, hint=problem.hint)) from problem
    return partial(_allowed, condition, check.note or f"not: {check.allow}")


def _allowed(condition: Expression, note: str, question: RiskQuestion) -> str | None:
    return None if value_of(condition, _values(question)) is True else note


def _values(question: RiskQuestion) -> dict[str, float | bool]:
    signal, held = question.signal, question.positions
    entry = signal.price_open
    return {
        "price": question.price,
        "price_open": entry,
        "price_take_profit": signal.price_take_profit,
        "price_stop_loss": signal.price_stop_loss,
        "take_profit_percent": abs(signal.price_take_profit - entry) / entry * 100,
        "stop_loss_percent": abs(entry - signal.price_stop_loss) / entry * 100,
        "reward_risk": reward_risk(signal),
        "lifetime_minutes": float(signal.lifetime_minutes),
        "is_long": signal.is_long,
        "positions": float(len(held)),
        "positions_of_symbol": float(sum(one.symbol == signal.symbol for one in held)),
        "positions_of_strategy": float(sum(one.strategy == signal.strategy for one in held)),
        "equity": math.nan if question.equity is None else question.equity,
    }


def _asked(
    plugin: Plugin, function: Callable[[RiskQuestion], Any], profile: str, audience: Audience, question: RiskQuestion
) -> str | None:
    """A check in Python: None and False-like answers allow, a text refuses; one that raises cannot answer."""
    try:
        answer = function(question)
        return str(answer) if answer else None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # user code, `sys.exit` too: a check that fails opens no position
        text = plugin.reference.text
        what = failure_text(error, plugin.place, f"in the risk check {text}")
        time_ms, signal, price, *_ = question
        failed = RiskCheckFailed(time_ms=time_ms, signal=signal, price=price, profile=profile, check=text, what=what)
        audience.tell(failed)
        raise CheckError(what) from error
