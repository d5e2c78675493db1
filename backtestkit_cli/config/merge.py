"""Loads config files and folders as one checked Config.

Rules: all files count alike. A settings key stands in one file only, a name in one entry of its kind only (letter case
aside); both places are shown otherwise. `--set` overrides what files say, before anything is checked. References
between kinds must be known. All problems of all files are reported together, the first 50 in full. `${NAME}` stays
as it is until a command uses the value.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from backtestkit_cli.config.contest_schema import OptimizerSchema, WalkerSchema
from backtestkit_cli.config.draft import Draft, Entry
from backtestkit_cli.config.fields import NamedSchema
from backtestkit_cli.config.market_schema import ExchangeSchema, FrameSchema
from backtestkit_cli.config.override import apply_overrides
from backtestkit_cli.config.problems import did_you_mean, is_secret, key_path, problems_of
from backtestkit_cli.config.read import KeyPath, SourceMap, read_file
from backtestkit_cli.config.references import reference_problems
from backtestkit_cli.config.schema import KINDS, SECTIONS, model_of
from backtestkit_cli.config.settings import Settings
from backtestkit_cli.config.stake_schema import RiskSchema, SizingSchema
from backtestkit_cli.config.strategy_schema import StrategySchema
from backtestkit_cli.errors import ConfigError, Problem, Source
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.redact import Redactor

MAX_PROBLEMS = 50
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
Kind = TypeVar("Kind", bound=NamedSchema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A checked configuration. Schemas are by name, in the order of the files.

    `project` is the folder that relative paths of the config belong to.
    """

    project: Path
    settings: Settings
    exchanges: dict[str, ExchangeSchema]
    frames: dict[str, FrameSchema]
    strategies: dict[str, StrategySchema]
    sizings: dict[str, SizingSchema]
    risks: dict[str, RiskSchema]
    walkers: dict[str, WalkerSchema]
    optimizers: dict[str, OptimizerSchema]
    sources: tuple[SourceMap, ...] = field(compare=False)
    redactor: Redactor = field(compare=False, default_factory=Redactor)
    draft: Draft = field(compare=False, repr=False)

    def where(self, kind: str, *path: str | int) -> Source:
        """Give the place of `("settings", key, …)` or `(kind, name, key, …)`, or of what holds it."""
        if kind == "settings":
            return self.draft.where("settings", None, path)
        return self.draft.where(kind, str(path[0]), path[1:])

    def is_given(self, kind: str, *path: str | int) -> bool:
        """Whether a file or `--set` gives a value at this very path."""
        name, keys = (None, path) if kind == "settings" else (str(path[0]), path[1:])
        values: Any = self.draft.settings if name is None else self.draft.named(kind)[name].values
        for key in keys:
            if isinstance(values, dict) and key in values:
                values = values[str(key)]
            elif isinstance(values, list) and isinstance(key, int) and key < len(values):
                values = values[key]
            else:
                return False
        return True

    def secret(self, text: str) -> str:
        """Resolve `${NAME}` in a text of this config from the environment; secrets in it are masked from now on.

        Raises:
            ConfigError: the variable is not set.
        """
        kind, name, keys = self._path_of(text)
        value = resolve_env(text, os.environ, where=self.draft.where(kind, name, keys))
        if kind == "settings" and keys == ("state", "url"):
            self._mask_login(text, value)
            return value
        if is_secret(keys):
            self.redactor.register(value)
        for name in _REFERENCE.findall(text):
            self.redactor.register(os.environ[name])
        return value

    def limits(self, exchange: str) -> Limits:
        """Give the engine's limits on an exchange; one that says `market: spot` has no shorts."""
        is_spot = self.exchanges[exchange].market == "spot"
        return replace(self.settings.limits_model(), long_only=is_spot)

    def _mask_login(self, text: str, address: str) -> None:
        """Of a server only the password is a secret; its name is needed in messages."""
        self.redactor.register_login(address)
        for name in _REFERENCE.findall(text):
            if "://" not in os.environ[name]:
                self.redactor.register(os.environ[name])

    def plain(self) -> dict[str, Any]:
        """Give the config as plain values that load to an equal one; secrets stay unresolved, defaults are left out."""
        kinds = {kind: list(getattr(self, kind).values()) for kind in KINDS}
        sections: dict[str, Any] = {
            kind: [one.model_dump(mode="json", exclude_unset=True) for one in schemas]
            for kind, schemas in kinds.items()
            if schemas
        }
        return {"settings": self.settings.model_dump(mode="json", exclude_unset=True), **sections}

    def _path_of(self, text: str) -> tuple[str, str | None, KeyPath]:
        """Find where a text stands; the settings as a whole if nowhere."""
        paths: list[tuple[str, str | None, Any]] = [("settings", None, self.draft.settings)]
        paths += [(entry.kind, entry.name, entry.values) for entry in self.draft.entries]
        for kind, name, values in paths:
            keys = _path_to(text, values)
            if keys is not None:
                return kind, name, keys
        return "settings", None, ()


def load(paths: Sequence[Path], overrides: Sequence[str] = ()) -> Config:
    """Load files and folders (`*.yaml`, `*.yml`, not recursive) and `PATH=VALUE` overrides.

    Raises:
        ConfigError: with every problem of every file.
    """
    draft = drafted(paths, overrides)
    return checked(draft, project_folder(paths[0] if paths else Path()), Redactor())


def drafted(paths: Sequence[Path], overrides: Sequence[str]) -> Draft:
    """Read files, folders and overrides; what is wrong stands in the draft."""
    draft = Draft()
    for path, name in files_of(paths, draft.problems):
        _read_into(draft, path, name)
    refuse_twins(draft)
    apply_overrides(draft, overrides)
    return draft


def checked(draft: Draft, project: Path, redactor: Redactor) -> Config:
    """Make what was said a config.

    Raises:
        ConfigError: with every problem of the draft.
    """
    settings = _checked_settings(draft)
    schemas = _checked_entries(draft)
    if draft.is_complete:
        draft.problems += reference_problems(draft, settings, schemas)
    if draft.problems or settings is None:
        raise ConfigError(*_first(draft.problems))
    return Config(
        project=project,
        settings=settings,
        exchanges=_of_kind(schemas, "exchanges", ExchangeSchema),
        frames=_of_kind(schemas, "frames", FrameSchema),
        strategies=_of_kind(schemas, "strategies", StrategySchema),
        sizings=_of_kind(schemas, "sizings", SizingSchema),
        risks=_of_kind(schemas, "risks", RiskSchema),
        walkers=_of_kind(schemas, "walkers", WalkerSchema),
        optimizers=_of_kind(schemas, "optimizers", OptimizerSchema),
        sources=tuple(draft.source_maps),
        redactor=redactor,
        draft=draft,
    )


def project_folder(first: Path) -> Path:
    """Give the folder of relative paths: the parent of a folder named `configs`, else the folder of the config."""
    folder = first.resolve()
    if not folder.is_dir():
        folder = folder.parent
    return folder.parent if folder.name == "configs" else folder


def resolve_env(text: str, environ: Mapping[str, str], where: Source | None = None) -> str:
    """Replace each `${NAME}` of a text.

    Raises:
        ConfigError: a variable is not set or empty.
    """
    missing = [name for name in _REFERENCE.findall(text) if not environ.get(name)]
    if missing:
        what = f"the environment variable {missing[0]} is not set"
        raise ConfigError(Problem("environment-missing", what, where, hint=f"set it: export {missing[0]}=…"))
    return _REFERENCE.sub(lambda match: environ[match[1]], text)


def files_of(paths: Sequence[Path], problems: list[Problem]) -> list[tuple[Path, str]]:
    """List the files to read, each once, with the names messages use."""
    found: dict[Path, tuple[Path, str]] = {}
    if not paths:
        problems.append(Problem("no-config", "no config is given", hint="give a file or folder with --config"))
    for path in paths:
        for file in _files_of(path, problems):
            found.setdefault(_resolved(file), (file, str(file)))
    return list(found.values())


def _files_of(path: Path, problems: list[Problem]) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
        entries = sorted(path.iterdir())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the path is not valid"
        problems.append(Problem("unreadable-file", f"the path cannot be read ({reason})", Source(file=str(path))))
        return []
    files = [file for file in entries if file.suffix in (".yaml", ".yml") and not file.name.startswith(".")]
    if not files:
        hint = "write one, or give another folder with --config"
        problems.append(Problem("no-config", "the folder has no .yaml file", Source(file=str(path)), hint=hint))
    return files


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):
        return path


def _read_into(draft: Draft, path: Path, name: str) -> None:
    try:
        values, source_map = read_file(path, name)
    except ConfigError as error:
        draft.problems += error.problems
        draft.is_complete = False
        return
    take_values(draft, values, source_map)


def take_values(draft: Draft, values: Any, source_map: SourceMap) -> None:
    """Put what one file says into a draft."""
    draft.source_maps.append(source_map)
    if not isinstance(values, dict):
        what = "the file is empty" if values is None else "the file is no mapping of sections"
        hint = f"start with a section such as strategies; known here: {', '.join(SECTIONS)}"
        draft.problems.append(Problem("no-sections", what, source_map.source(()), hint=hint))
        return
    for section, content in values.items():
        _take_section(draft, section, content, source_map)


def _take_section(draft: Draft, section: str, content: Any, source_map: SourceMap) -> None:
    if section not in SECTIONS:
        where = source_map.source((section,), at="key", key=section)
        hint = did_you_mean(section, SECTIONS)
        known = ", ".join(SECTIONS)
        draft.problems.append(Problem("unknown-section", "no such section", where, expected=known, hint=hint))
        draft.is_complete = False
        return
    where = source_map.source((section,), key=section)
    if section == "settings":
        if isinstance(content, dict):
            _merge(draft, draft.settings, content, ("settings",), source_map)
        else:
            what = "settings is no mapping of keys and values"
            draft.problems.append(Problem("wrong-type", what, where, hint="remove it, or write keys below it"))
        return
    if not isinstance(content, list):
        what, hint = f"{section} is no list", "write each entry as `- name: …`"
        draft.problems.append(Problem("wrong-type", what, where, hint=hint))
        draft.is_complete = False
        return
    for index, values in enumerate(content):
        name = values.get("name") if isinstance(values, dict) else None
        known_name = name if isinstance(name, str) else None
        entry = Entry(kind=section, name=known_name, index=index, values=values, source_map=source_map)
        draft.entries.append(entry)


def _merge(draft: Draft, into: dict[str, Any], values: dict[str, Any], path: KeyPath, source_map: SourceMap) -> None:
    draft.settings_maps.setdefault(path, source_map)
    for key, value in values.items():
        here = (*path, key)
        if key not in into:
            into[key] = {} if isinstance(value, dict) else value
            draft.settings_maps[here] = source_map
            if isinstance(value, dict):
                _merge(draft, into[key], value, here, source_map)
        elif isinstance(value, dict) and isinstance(into[key], dict):
            _merge(draft, into[key], value, here, source_map)
        else:
            _note_twice(draft, here, source_map)


def _note_twice(draft: Draft, path: KeyPath, source_map: SourceMap) -> None:
    key = key_path("settings", None, None, path[1:])
    first = draft.settings_maps[path].source(path, at="key")
    where = source_map.source(path, at="key", key=key)
    what = f"this setting is also given in {first.file}:{first.line}:{first.column}"
    draft.problems.append(Problem("setting-twice", what, where, hint="keep one of the two"))


def refuse_twins(draft: Draft) -> None:
    """Note each entry whose name, letter case aside, another one of its kind has."""
    seen: dict[tuple[str, str], Entry] = {}
    for entry in draft.entries:
        if entry.name is None:
            continue
        first = seen.setdefault((entry.kind, entry.name.casefold()), entry)
        if first is not entry:
            place = first.where(("name",))
            said = "this name" if first.name == entry.name else f'the name "{first.name}", alike but for letter case,'
            what = f"{said} is also given in {_written(place)}"
            draft.problems.append(Problem("name-twice", what, entry.where(("name",)), hint="rename one of the two"))


def _written(place: Source) -> str:
    return ":".join(str(part) for part in (place.file, place.line, place.column) if part is not None)


def _checked_settings(draft: Draft) -> Settings | None:
    try:
        return Settings.model_validate(draft.settings)
    except ValidationError as error:
        draft.problems += problems_of(error, lambda keys, at: draft.where("settings", None, keys, at))
        return None


def _checked_entries(draft: Draft) -> dict[tuple[str, str], NamedSchema]:
    checked: dict[tuple[str, str], NamedSchema] = {}
    for entry in draft.entries:
        try:
            schema = model_of(entry.kind, entry.values).model_validate(entry.values)
        except ValidationError as error:
            draft.problems += problems_of(error, _locator_of(draft, entry))
        else:
            checked.setdefault((entry.kind, schema.name), schema)
    return checked


def _locator_of(draft: Draft, entry: Entry) -> Any:
    """Locate keys of an entry, also of one without a usable name."""
    if entry.name is None:
        return entry.where
    name = entry.name

    def locate(keys: KeyPath, at: str) -> Source:
        path = (entry.kind, name, *keys)
        is_overridden = any(path[: len(given)] == given or given[: len(path)] == path for given in draft.overridden)
        return draft.where(entry.kind, name, keys, at) if is_overridden else entry.where(keys, at)

    return locate


def _of_kind(schemas: dict[tuple[str, str], NamedSchema], kind: str, model: type[Kind]) -> dict[str, Kind]:
    return {name: schema for (one, name), schema in schemas.items() if one == kind and isinstance(schema, model)}


def _path_to(text: str, values: Any) -> KeyPath | None:
    """Give the keys that lead to a text."""
    if values == text and isinstance(values, str):
        return ()
    parts: list[tuple[str | int, Any]] = []
    if isinstance(values, dict):
        parts = list(values.items())
    elif isinstance(values, list):
        parts = list(enumerate(values))
    for key, inner in parts:
        rest = _path_to(text, inner)
        if rest is not None:
            return (key, *rest)
    return None


def _first(problems: list[Problem]) -> list[Problem]:
    if len(problems) <= MAX_PROBLEMS:
        return problems
    what = f"{len(problems) - MAX_PROBLEMS} more problems are not shown"
    return [*problems[:MAX_PROBLEMS], Problem("more-problems", what, hint="repair these first")]
