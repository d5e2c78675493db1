"""Which session goes on: one that was left with the same settings, else a new one; never one under other rules.

A new one never begins beside a position that a session of the project left open with its state elsewhere: the journals
are the witness.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.stored import kept
from backtestkit_cli.errors import Problem, Source, StateError
from backtestkit_cli.model.signal import Flat
from backtestkit_cli.model.time import MINUTE_MS
from backtestkit_cli.run.plan import LivePlan
from backtestkit_cli.run.standing import Key
from backtestkit_cli.state.journal import read_journal
from backtestkit_cli.state.left_open import left_open
from backtestkit_cli.state.session import SessionRecord, SessionState, StreamRecord

WEIGHTLESS = ("defaults", "state", "notify", "columns", "report_show_note")
"""Settings that change nothing about a position."""
STAMP = "%Y%m%dT%H%M%SZ"


def begun_ms(session: str) -> int | None:
    """The moment at which a session was started, which its id tells to the second; None where it is no id of ours."""
    try:
        return round(datetime.strptime(session, STAMP).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return None


class Place(NamedTuple):
    """Where the journals and the state of a project are."""

    logs: Path
    state: Path


def identity_of(
    config: Config,
    plan: LivePlan,
    state: SessionState,
    history_minutes: Mapping[str, int],
    now_ms: int,
    place: Place,
) -> tuple[SessionRecord, dict[Key, StreamRecord]]:
    """The session that goes on or begins, and its streams as they were left.

    Raises:
        StateError: something is open under other settings, in a stream that is not asked for, or in another place; or
            state is damaged.
    """
    former = state.session()
    known = {(one.strategy, one.symbol): one for one in state.streams()}
    held = {key: one for key, one in known.items() if not isinstance(one.state, Flat) or one.untold}
    fingerprint = fingerprint_of(config, plan)
    streams = {key: known.get(key, StreamRecord(strategy=key[0], symbol=key[1])) for key in plan.keys}
    if former is not None and not former.is_ended and former.fingerprint == fingerprint:
        return former, streams
    if held:
        changes = changes_of(config, plan, place.logs / "live" / former.session) if former is not None else ()
        raise _held_otherwise(former, held, plan, changes, _where(config, place.state))
    for folder, keys in left_open(place.logs, plan.keys, but=former.session if former else "").items():
        raise _left_elsewhere(folder.name, keys, _where(config, place.state))
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
    return hashlib.sha256(json.dumps(_meaning(config, plan), sort_keys=True, default=str).encode()).hexdigest()


def _meaning(config: Config, plan: LivePlan) -> dict[str, Any]:
    schemas = [config.strategies[name] for name in plan.strategies]
    used: dict[str, set[str]] = {
        "exchanges": {plan.exchange},
        "frames": set(),
        "strategies": set(plan.strategies),
        "risks": {risk for schema in schemas for risk in schema.risk_names},
        "sizings": {schema.sizing for schema in schemas if schema.sizing},
    }
    told: dict[str, Any] = dict(kept(config, used))
    told["settings"] = _of_weight(told.get("settings", {}))
    told["streams"] = [list(key) for key in plan.keys]
    if plan.is_real:
        told["broker"] = plan.broker
    return told


def _of_weight(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that decide what becomes of a position."""
    return {key: value for key, value in settings.items() if key not in WEIGHTLESS}


def changes_of(config: Config, plan: LivePlan, folder: Path) -> tuple[str, ...]:
    """What a session was started with and is otherwise now, as its journal keeps it: path, old and new value."""
    starts = [line for line in read_journal(folder, without=("candle", "tick", "event")) if line["what"] == "start"]
    if not starts or not isinstance(starts[-1].get("config"), dict):
        return ()
    now: dict[str, Any] = json.loads(json.dumps(_meaning(config, plan), default=str))
    then = {key: value for key, value in starts[-1]["config"].items() if key in now}
    then["settings"] = _of_weight(then.get("settings", {}))
    del now["streams"]
    now.pop("broker", None)
    before, after = dict(_leaves(then)), dict(_leaves(now))
    paths = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    return tuple(f"{path}: {_value(before.get(path))} → {_value(after.get(path))}" for path in paths)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each single value under its path; entries that have a name go by it."""
    match value:
        case dict():
            items = [(str(key), one) for key, one in value.items()]
        case list() if all(isinstance(one, dict) and "name" in one for one in value):
            items = [(str(one["name"]), one) for one in value]
        case _:
            yield path, value
            return
    for key, one in items:
        yield from _leaves(one, f"{path}.{key}" if path else key)


def _value(value: Any) -> str:
    return "not set" if value is None else str(value)


def _where(config: Config, folder: Path) -> Source:
    use = config.settings.state.use
    return Source(file=str(folder.resolve())) if use in ("files", "sqlite") else Source(key=f"state in {use}")


def _held_otherwise(
    former: SessionRecord | None,
    held: Mapping[Key, StreamRecord],
    plan: LivePlan,
    changes: Sequence[str],
    where: Source,
) -> StateError:
    missing = [key for key in held if key not in plan.keys]
    names = ", ".join(f"{strategy} on {symbol}" for strategy, symbol in missing or held)
    if former is None:
        what = f"{names} was left open, and the record of the session that opened it is gone"
        hint = "put the record back"
    elif missing or former.exchange != plan.exchange:
        what = f"session {former.session} left {names} open, and they are not part of this one"
        hint = "start the same strategies, symbols and exchange again"
    else:
        more = f": {'; '.join(changes)}" if changes else ""
        what = f"session {former.session} left {names} open under other settings{more}"
        hint = "put the settings back until the positions have closed"
    hint += ", or say what has become of them with `backtestkit session reconcile`"
    return StateError(Problem("session-differs", what, where, hint=hint))


def _left_elsewhere(session: str, keys: Sequence[Key], where: Source) -> StateError:
    names = ", ".join(f"{strategy} on {symbol}" for strategy, symbol in keys)
    what = f"session {session} left {names} open, as its journal says, and this state knows nothing of it"
    flat = " and ".join(f"`backtestkit session reconcile --flat {strategy} {symbol}`" for strategy, symbol in keys)
    hint = f"was the state moved or deleted? Put it, or settings.state, back; if nothing is open there, say {flat}"
    return StateError(Problem("left-elsewhere", what, where, hint=hint))
