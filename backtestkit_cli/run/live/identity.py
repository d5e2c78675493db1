"""Which session goes on: one that was left with the same settings, else a new one; never one under other rules."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.stored import kept
from backtestkit_cli.errors import Problem, Source, StateError
from backtestkit_cli.model.signal import Flat
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.run.plan import LivePlan
from backtestkit_cli.run.standing import Key
from backtestkit_cli.state.session import SessionRecord, SessionState, StreamRecord

STAMP = "%Y%m%dT%H%M%SZ"


def begun_ms(session: str) -> int | None:
    """The moment at which a session was started, which its id tells to the second; None where it is no id of ours."""
    try:
        return round(datetime.strptime(session, STAMP).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return None


def identity_of(
    config: Config, plan: LivePlan, state: SessionState, history_minutes: Mapping[str, int], now_ms: int
) -> tuple[SessionRecord, dict[Key, StreamRecord]]:
    """The session that goes on or begins, and its streams as they were left.

    Raises:
        StateError: something is open under other settings, or in a stream that is not asked for; or state is damaged.
    """
    former = state.session()
    known = {(one.strategy, one.symbol): one for one in state.streams()}
    held = {key: one for key, one in known.items() if not isinstance(one.state, Flat) or one.untold}
    fingerprint = fingerprint_of(config, plan)
    streams = {key: known.get(key, StreamRecord(strategy=key[0], symbol=key[1])) for key in plan.keys}
    if former is not None and not former.is_ended and former.fingerprint == fingerprint:
        return former, streams
    if held:
        raise _held_otherwise(former, held, plan)
    first_ms = -(-now_ms // MINUTE_MS) * MINUTE_MS
    window = config.settings.limits.average_price_candles
    new = SessionRecord(
        session=datetime.fromtimestamp(now_ms / 1000, UTC).strftime(STAMP),
        started_ms=first_ms,
        exchange=plan.exchange,
        strategies=plan.strategies,
        symbols=plan.symbols,
        history_start_ms={name: first_ms - (minutes + window) * MINUTE_MS for name, minutes in history_minutes.items()},
        fingerprint=fingerprint,
        broker=plan.broker,
    )
    return new, {key: StreamRecord(strategy=key[0], symbol=key[1]) for key in plan.keys}


def fingerprint_of(config: Config, plan: LivePlan) -> str:
    """A hash over everything in the config that decides what becomes of a position."""
    schemas = [config.strategies[name] for name in plan.strategies]
    used: dict[str, set[str]] = {
        "exchanges": {plan.exchange},
        "frames": set(),
        "strategies": set(plan.strategies),
        "risks": {risk for schema in schemas for risk in schema.risk_names},
        "sizings": {schema.sizing for schema in schemas if schema.sizing},
    }
    told: dict[str, Any] = dict(kept(config, used))
    told["settings"] = {
        key: value
        for key, value in dict(told.get("settings", {})).items()
        if key not in ("defaults", "state", "notify", "columns", "report_show_note")
    }
    told["streams"] = [list(key) for key in plan.keys]
    if plan.broker != "paper":
        told["broker"] = plan.broker
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def _held_otherwise(former: SessionRecord | None, held: Mapping[Key, StreamRecord], plan: LivePlan) -> StateError:
    missing = [key for key in held if key not in plan.keys]
    names = ", ".join(f"{strategy} on {symbol}" for strategy, symbol in missing or held)
    if former is None:
        what = f"{names} was left open, and the record of the session that opened it is gone"
        hint = "put the record back"
    elif missing or former.exchange != plan.exchange:
        what = f"session {former.session} left {names} open, and they are not part of this one"
        hint = "start the same strategies, symbols and exchange again"
    else:
        what = f"session {former.session} left {names} open under other settings"
        hint = "put the settings back until the positions have closed"
    hint += ", or say what has become of them with `backtestkit session reconcile`"
    return StateError(Problem("session-differs", what, Source(key="state"), hint=hint))
