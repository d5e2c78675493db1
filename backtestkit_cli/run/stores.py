"""Where live state is kept: the store that `settings.state` names.

* Only the library of the chosen server is imported.
* Of an address only the password is a secret; messages name the server without who logs in.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from backtestkit_cli.config.merge import Config
from backtestkit_cli.disk import Holder
from backtestkit_cli.errors import BacktestkitError, ConfigError, Problem, StrategyError
from backtestkit_cli.plugins.places import raised
from backtestkit_cli.plugins.ports import StateStore
from backtestkit_cli.plugins.reference import resolve
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.run.clock import WallClock
from backtestkit_cli.state.generations import Generation, Which
from backtestkit_cli.state.own_table import OwnTable
from backtestkit_cli.state.store import FileStore
from backtestkit_cli.state.table import Table

SCHEMES = {"redis": ("redis", "rediss"), "postgres": ("postgresql", "postgres"), "mongo": ("mongodb", "mongodb+srv")}
"""How the address of a server begins, by what `settings.state.use` says."""
METHODS = ("held", "holder", "keys", "read", "write", "set_aside")
"""What a table of the user must have."""


class LockedStore(StateStore, Protocol):
    """A store that one program can hold, and others look into. `warnings` tell of damaged records and weak servers."""

    warnings: list[str]

    def held(self) -> AbstractContextManager[object]:
        """Keep every other program out.

        Raises:
            UsageError: another program holds it.
        """
        ...

    def holder(self) -> Holder | None:
        """Who holds it just now."""
        ...

    def stored_keys(self, kind: str) -> tuple[str, ...]:
        """The keys of all records of a kind, damaged ones too."""
        ...

    def generations(self, kind: str, key: str) -> tuple[Generation, ...]:
        """Both generations of a record, as far as there are any."""
        ...

    def set_aside(self, kind: str, key: str, which: Which) -> str:
        """Keep a generation where it does not count any more; where that is."""
        ...


def store_for(
    config: Config, folder: Path, now_ms: Callable[[], int], registry: Registry, *, is_outside: bool = False
) -> LockedStore:
    """Open the store of a project; `folder` is where local ones lie. Who `is_outside` looks while another holds it.

    Raises:
        ConfigError: the library of a server is missing, or its address is none.
    """
    if config.settings.state.use == "files":
        return FileStore(folder, now_ms, is_outside=is_outside)
    from backtestkit_cli.state.database import DatabaseStore

    table = table_for(config, folder, now_ms, registry)
    return DatabaseStore(table, now_ms, is_outside=is_outside, clean=config.redactor.clean)


def table_for(config: Config, folder: Path, now_ms: Callable[[], int], registry: Registry) -> Table:
    """Open the database of a project.

    Raises:
        ConfigError: as `store_for`.
    """
    match config.settings.state.use:
        case "sqlite":
            from backtestkit_cli.state.sqlite import SqliteTable

            return SqliteTable(folder)
        case "redis" | "postgres" | "mongo" as server:
            return _on_server(config, server, now_ms())
        case use:
            return own_table(config, folder, registry, use, config.settings.state.params)


def own_table(
    config: Config, folder: Path, registry: Registry, reference: str, params: Mapping[str, object]
) -> OwnTable:
    """Make a table of the user: a class, or a function that gives one. `path` and `url` are params like others.

    Raises:
        ConfigError: there is none, it is no table, or something is wrong with its params.
        StrategyError: its code raised.
    """
    plugin = resolve(reference, "store", config.project, registry)
    given = {key: config.secret(value) if isinstance(value, str) else value for key, value in params.items()}
    if config.settings.state.use == reference and config.settings.state.url is not None:
        given.setdefault("url", config.secret(config.settings.state.url))
    if "path" in plugin.parameters.parameters:
        given.setdefault("path", str(folder))
    make = plugin.bind(given, clock=WallClock())
    try:
        made = make()
    except (KeyboardInterrupt, BacktestkitError):
        raise
    except BaseException as error:
        raise StrategyError(raised(error, plugin.place, "while it was made")) from error
    missing = [name for name in METHODS if not callable(getattr(made, name, None))]
    if missing:
        what, expected = f"{reference} is no table of live state: it has no {missing[0]}", ", ".join(METHODS)
        raise ConfigError(Problem("bad-plugin", what, plugin.place, expected=expected))
    return OwnTable(made, reference)


def _on_server(config: Config, server: str, now_ms: int) -> Table:
    where = config.where("settings", "state", "url")
    url = config.secret(config.settings.state.url or "")
    name = _name_of(url, server)
    if name is None:
        expected = f"an address such as {SCHEMES[server][0]}://localhost/1"
        raise ConfigError(Problem("bad-state-address", f"this is no address of {server}", where, expected=expected))
    try:
        return _made(server, url, name, now_ms)
    except ImportError:
        what, hint = f"state in {server} needs its library", f"install it with: pip install 'backtestkit-cli[{server}]'"
        raise ConfigError(Problem("store-not-installed", what, where, hint=hint)) from None
    except ValueError:
        what, hint = f"this address of {server} cannot be read", "is everything after the host right?"
        raise ConfigError(Problem("bad-state-address", what, where, hint=hint)) from None


def _made(server: str, url: str, name: str, now_ms: int) -> Table:
    if server == "redis":
        from backtestkit_cli.state.redis_table import RedisTable

        return RedisTable(url, name, now_ms)
    if server == "postgres":
        from backtestkit_cli.state.postgres_table import PostgresTable

        return PostgresTable(url, name, now_ms)
    from backtestkit_cli.state.mongo_table import MongoTable

    return MongoTable(url, name, now_ms)


def _name_of(url: str, server: str) -> str | None:
    """The address without who logs in and without options; None where it is none of that server."""
    try:
        split = urlsplit(url)
    except ValueError:
        return None
    if split.scheme not in SCHEMES[server]:
        return None
    return f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}"
