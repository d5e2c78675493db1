"""The conformance suite of stores of live state, run on one that a config names or a user wrote.

It writes into the very database, records of a kind of its own, and so it refuses one that a session holds.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Any

from backtestkit_cli.config.merge import Config
from backtestkit_cli.errors import Problem, Source, UsageError
from backtestkit_cli.plugins.places import place_of
from backtestkit_cli.plugins.registry import ROOT, Registry
from backtestkit_cli.run.clock import WallClock
from backtestkit_cli.run.pool import sheltered_start
from backtestkit_cli.run.stores import own_table, table_for
from backtestkit_cli.state.conformance import check_table
from backtestkit_cli.state.own_table import OwnTable
from backtestkit_cli.state.table import Table

START_SECONDS = 60.0


def check_store(config: Config, registry: Registry, text: str, params: Mapping[str, object]) -> list[Problem]:
    """Check the table that a text refers to.

    Raises:
        UsageError: somebody holds it.
        ConfigError, StrategyError: it cannot be made.
    """
    make = partial(_table, config, registry, text, params)
    table = make()
    place = place_of(type(table.table)) if isinstance(table, OwnTable) else Source(key=table.name)
    if (holder := table.holder()) is not None:
        what, hint = f"{text} is held by {holder}", "stop the session first: the check needs the store for itself"
        raise UsageError(Problem("state-in-use", what, hint=hint))
    return check_table(make, partial(_held_elsewhere, config, text, params), place)


def _table(config: Config, registry: Registry, text: str, params: Mapping[str, object]) -> Table:
    folder = config.project / config.settings.state.path
    if config.settings.state.use == text:
        return table_for(config, folder, WallClock().now_ms, registry)
    return own_table(config, folder, registry, text, params)


@contextmanager
def _held_elsewhere(config: Config, text: str, params: Mapping[str, object]) -> Iterator[None]:
    """Another process holds it, and is killed at the end."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_hold, args=(config, text, dict(params), there), daemon=True)
    with sheltered_start():
        process.start()
    there.close()
    try:
        told = here.recv() if here.poll(START_SECONDS) else "another process could not hold it in time"
        if told is not None:
            raise RuntimeError(told)
        yield
    finally:
        process.kill()
        process.join()
        here.close()


def _hold(config: Config, text: str, params: Mapping[str, object], asked: Any) -> None:
    try:
        with _table(config, ROOT.child(), text, params).held():
            asked.send(None)
            asked.recv()
    except EOFError:
        return
    except BaseException as error:  # noqa: BLE001  # around a plugin call, in a process of its own
        asked.send(f"another process could not hold it: {error}")
