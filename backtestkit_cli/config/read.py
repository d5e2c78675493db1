"""Reads YAML text as plain values, and remembers where each of them stands.

Rules: one document of at most 1 MB in UTF-8, at most 50 levels deep. Anchors, aliases, merge keys, tags and repeated
keys are refused. Plain scalars follow JSON (`true`, `false`, `null` and numbers); every other one is text, so `no`,
`12:30`, `010` and dates mean what they look like. Keys are always text. The pure Python parser is used one event at
a time: the C parser ends the process on deep nesting.
"""

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import yaml

from backtestkit_cli.errors import ConfigError, Problem, Source

KeyPath: TypeAlias = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_NUMBER_LENGTH = 64
MAX_PROBLEMS = 50

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")
_WORDS = {"true": True, "false": False, "null": None, "": None}
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_ADVICE = (
    ("but found ':'", "a key without a name", "write `key: value`"),
    ("'\\t'", "a tab cannot indent a line", "indent with spaces"),
    (
        "mapping values are not allowed",
        "a key cannot start here",
        "quote texts with `: `; end the line above with `:`",
    ),
    ("expected ',' or", "a bracket is not closed", "close it, or separate the entries by commas"),
    (
        "expected <block end>",
        "the indentation does not fit the lines above",
        "start the entries of one block in one column",
    ),
    ("could not find expected ':'", "a key without `:`", "write `key: value`"),
    ("while scanning a quoted", "a quoted text does not end", "close the quote"),
    ("unexpected end of stream", "a quoted text does not end", "close the quote"),
    ("cannot start any token", "a text cannot start with this character", "put the text in quotes"),
    ("unknown escape", "no such escape in a text in double quotes", "use single quotes, or double the backslash"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column, counted from 1, of a key and of its value. An entry of a list has no key of its own."""

    key: tuple[int, int]
    value: tuple[int, int]


@dataclass(frozen=True, slots=True)
class SourceMap:
    """Where each value of a file stands, by key path."""

    file: str
    places: dict[KeyPath, Place] = field(default_factory=dict)

    def source(self, path: KeyPath, *, at: str = "value", key: str | None = None) -> Source:
        """Give the place of a path, or of its nearest ancestor; `at` is `key` or `value`."""
        while path and path not in self.places:
            path = path[:-1]
        place = self.places.get(path)
        if place is None:
            return Source(file=self.file, key=key)
        line, column = place.key if at == "key" else place.value
        return Source(file=self.file, line=line, column=column, key=key)


@dataclass(slots=True)
class _Level:
    """A list or mapping that is still open."""

    values: dict[str, Any] | list[Any]
    path: KeyPath
    key: str | None = None
    key_at: tuple[int, int] = (1, 1)

    @property
    def wants_key(self) -> bool:
        return isinstance(self.values, dict) and self.key is None


class _Builder:
    """Puts parser events together to values."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.map = SourceMap(file)
        self.problems: list[Problem] = []
        self.levels: list[_Level] = []
        self.root: Any = None
        self.documents = 0

    def build(self, events: Iterator[yaml.Event]) -> Any:
        for event in events:
            match event:
                case yaml.DocumentStartEvent():
                    self.start_document(event)
                case yaml.ScalarEvent() if self.levels and self.levels[-1].wants_key:
                    self.take_key(event)
                case yaml.NodeEvent() if self.levels and self.levels[-1].wants_key:
                    self.stop(event, "bad-key", "a key must be plain text", "write `key: value`")
                case yaml.NodeEvent():
                    self.take_value(event)
                case yaml.CollectionEndEvent():
                    self.levels.pop()
                case _:
                    pass  # start and end of the stream, end of a document
        return self.root

    def start_document(self, event: yaml.Event) -> None:
        self.documents += 1
        if self.documents > 1:
            self.stop(event, "second-document", "a second document starts here", "use one file for each document")

    def take_key(self, event: yaml.ScalarEvent) -> None:
        level = self.levels[-1]
        key = event.value
        level.key, level.key_at = key, _at(event)
        self.refuse_extras(event)
        if key == "<<" and event.style is None:
            self.note(event, "merge-key", "merge keys are not read", "write the keys out")
        elif key == "":
            self.note(event, "bad-key", "a key without a name", "write `key: value`")
        elif key in level.values:
            first = self.map.places[(*level.path, key)].key
            self.note(
                event, "duplicate-key", f"{_short(key)} was given before, in line {first[0]}", "keep one of the two"
            )
        self.check_characters(event)

    def take_value(self, event: yaml.NodeEvent) -> None:
        self.refuse_extras(event)
        value: Any = None
        if isinstance(event, yaml.AliasEvent):
            self.note(event, "alias", f"the alias *{_short(str(event.anchor))} is not read", "write the value out")
        elif isinstance(event, yaml.ScalarEvent):
            value = self.scalar(event)
        else:
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
        path = self.place(event, value)
        if isinstance(value, dict | list):
            if len(self.levels) >= MAX_DEPTH:
                what = f"brackets or blocks more than {MAX_DEPTH} deep"
                self.stop(event, "too-deep", what, "no key of a config is that deep")
            self.levels.append(_Level(value, path))

    def path(self) -> KeyPath:
        """Give the keys of the value that comes next."""
        if not self.levels:
            return ()
        level = self.levels[-1]
        if isinstance(level.values, list):
            return (*level.path, len(level.values))
        return level.path if level.key is None else (*level.path, level.key)

    def place(self, event: yaml.Event, value: Any) -> KeyPath:
        """Store a value in the open level; answer its path."""
        path, at = self.path(), _at(event)
        key_at = at
        if not self.levels:
            self.root = value
        else:
            level = self.levels[-1]
            if isinstance(level.values, list):
                level.values.append(value)
            else:
                key_at = level.key_at
                level.values[str(level.key)] = value
                level.key = None
        self.map.places[path] = Place(key_at, at)
        return path

    def scalar(self, event: yaml.ScalarEvent) -> Any:
        self.check_characters(event)
        if event.style is not None:
            return event.value
        try:
            return resolve(event.value)
        except ValueError as error:
            self.note(event, "bad-number", str(error), "write a shorter number, or put a text in quotes")
            return None

    def check_characters(self, event: yaml.ScalarEvent) -> None:
        if found := FORBIDDEN.search(event.value):
            self.note(event, "bad-character", f"the text holds the character {ord(found[0]):#04x}", "remove it")

    def refuse_extras(self, event: yaml.NodeEvent) -> None:
        """Refuse tags and anchors."""
        tag = getattr(event, "tag", None)
        if tag is not None:
            self.note(event, "tag", f"the tag {_short(_tag_name(tag))} is not read", "write the plain value")
        if event.anchor is not None and not isinstance(event, yaml.AliasEvent):
            what = f"the anchor &{_short(event.anchor)} is not read"
            self.note(event, "anchor", what, "write the value where it is needed")

    def note(self, event: yaml.Event, code: str, what: str, hint: str) -> None:
        line, column = _at(event)
        where = Source(file=self.file, line=line, column=column, key=path_text(self.path()) or None)
        self.problems.append(Problem(code, what, where, hint=hint))
        if len(self.problems) >= MAX_PROBLEMS:
            raise ConfigError(*self.problems)

    def stop(self, event: yaml.Event, code: str, what: str, hint: str) -> NoReturn:
        self.note(event, code, what, hint)
        raise ConfigError(*self.problems)


def read_text(text: str, file: str) -> tuple[Any, SourceMap]:
    """Read YAML text; `file` is the name that messages show.

    Raises:
        ConfigError: every fault of the text that could be found together.
    """
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise _too_large(file)
    if found := FORBIDDEN.search(text):
        raise _bad_character(text, found.start(), file)
    builder = _Builder(file)
    loader = yaml.SafeLoader(text)
    try:
        value = builder.build(_events(loader))
    except yaml.MarkedYAMLError as error:
        raise ConfigError(*builder.problems, _syntax_problem(error, file)) from error
    except yaml.reader.ReaderError as error:
        raise _bad_character(text, error.position, file) from error
    except (ValueError, OverflowError, IndexError) as error:
        mark = loader.get_mark()
        where = Source(file=file, line=mark.line + 1, column=mark.column + 1)
        problem = Problem("bad-yaml", "this is no YAML", where, hint="look at the line for escapes and directives")
        raise ConfigError(*builder.problems, problem) from error
    finally:
        loader.dispose()
    if builder.problems:
        raise ConfigError(*builder.problems)
    return value, builder.map


def read_file(path: Path, name: str | None = None) -> tuple[Any, SourceMap]:
    """Read a YAML file; `name` is what messages call it (default the path).

    Raises:
        ConfigError: the file is missing, unreadable, no file at all, or wrong inside.
    """
    file = name or str(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _refused(file, "no-file", "this is a folder or device, not a file", "give a YAML file")
        if status.st_size > MAX_BYTES:
            raise _too_large(file)
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise _refused(file, "file-missing", "there is no such file", "check the path given with --config") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the path is not valid"
        raise _refused(
            file, "unreadable-file", f"the file cannot be read ({reason})", "check its path and rights"
        ) from error
    return read_text(_decoded(content, file), file)


def resolve(text: str) -> Any:
    """Read a plain scalar: `true`, `false`, `null`, a JSON number; everything else stays text.

    Raises:
        ValueError: a number too long or too large to be kept exactly.
    """
    if text in _WORDS:
        return _WORDS[text]
    match = _NUMBER.match(text)
    if match is None:
        return text
    if len(text) > MAX_NUMBER_LENGTH:
        raise ValueError(f"a number of {len(text)} characters is too long")
    number = int(text) if match[2] is None and match[3] is None else float(text)
    limit = 2**63 if isinstance(number, int) else float("1.7976931348623157e308")
    if abs(number) > limit:
        raise ValueError("the number is too large")
    return number


class _Dumper(yaml.SafeDumper):
    """Quotes exactly those texts that `resolve` would not give back as text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # the parent's way

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # the name is the parent's
        return True


_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|false)\Z"), ["t", "f"])
_Dumper.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(null|)\Z"), ["n", ""])
_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?(0|[1-9][0-9]*)\Z"), list("-0123456789"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-0123456789"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"<<\Z"), ["<"])


def write_text(value: Any) -> str:
    """Write plain values as YAML that `read_text` reads back equal."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _events(loader: yaml.SafeLoader) -> Iterator[yaml.Event]:
    while loader.check_event():
        yield loader.get_event()  # type: ignore[no-untyped-call]  # the stubs leave it open


def _at(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def path_text(path: KeyPath) -> str:
    """Write a key path for people: `steps › BTCUSDT`, `checks[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f" › {_short(part)}"
    return text.removeprefix(" › ")


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def _tag_name(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


def _decoded(content: bytes, file: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _refused(file, "bad-encoding", "the file is UTF-16", "save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", errors="replace")
        where = Source(file=file, line=before.count("\n") + 1, column=len(before) - before.rfind("\n"))
        found = f"the byte {content[error.start]:#04x}"
        raise ConfigError(
            Problem("bad-encoding", "the file is not UTF-8 here", where, found=found, hint="save it as UTF-8")
        ) from error


def _syntax_problem(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    where = Source(file=file, line=mark.line + 1, column=mark.column + 1) if mark else Source(file=file)
    said = f"{error.context or ''} {error.problem or ''}"
    for sign, what, hint in _ADVICE:
        if sign in said:
            return Problem("bad-yaml", what, where, hint=hint)
    return Problem(
        "bad-yaml", "this is no YAML", where, found=error.problem, hint="look at this line and the one above"
    )


def _bad_character(text: str, position: int, file: str) -> ConfigError:
    before = text[:position]
    where = Source(file=file, line=before.count("\n") + 1, column=position - before.rfind("\n"))
    what = f"the file holds the character {ord(text[position]):#04x}"
    return ConfigError(Problem("bad-character", what, where, hint="remove it; a config is plain UTF-8 text"))


def _too_large(file: str) -> ConfigError:
    return _refused(file, "file-too-large", "the file is larger than 1 MB", "split it, or keep candles elsewhere")


def _refused(file: str, code: str, what: str, hint: str) -> ConfigError:
    return ConfigError(Problem(code, what, Source(file=file), hint=hint))
