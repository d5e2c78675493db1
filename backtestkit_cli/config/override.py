"""Applies `--set PATH=VALUE` to what the files say, before it is checked.

Rules: the path is `settings.KEY…` or `KIND.NAME.KEY…`; where names hold dots the longest known one counts. The value
is read like a plain value of a file; one in brackets or quotes like YAML of its own. A name cannot be changed, and a
path is set once.
"""

from collections.abc import Sequence
from typing import Any

from backtestkit_cli.config.draft import Draft
from backtestkit_cli.config.problems import did_you_mean
from backtestkit_cli.config.read import KeyPath, read_text, resolve
from backtestkit_cli.config.schema import SECTIONS
from backtestkit_cli.errors import ConfigError, Problem, Source


def apply_overrides(draft: Draft, overrides: Sequence[str]) -> None:
    """Change the draft by each override; what is wrong with one becomes a problem of the draft."""
    for text in overrides:
        try:
            _apply(draft, text)
        except ConfigError as error:
            draft.problems += error.problems


def _apply(draft: Draft, text: str) -> None:
    path, equals, written = text.partition("=")
    if not equals or not path.strip():
        raise _refused(text, "bad-override", "this is no PATH=VALUE", hint="settings.costs.fee_percent=0.05")
    value = _value(written.strip(), text)
    section, _, rest = path.strip().partition(".")
    if section not in SECTIONS:
        hint = did_you_mean(section, SECTIONS)
        raise _refused(text, "unknown-section", f"no section {section}", expected=", ".join(SECTIONS), hint=hint)
    start, values, rest = _start(draft, section, rest, text)
    full = start + _put(values, rest, value, text)
    if full in draft.overridden:
        raise _refused(text, "override-twice", "this path is set twice", hint="keep one of the two")
    draft.overridden[full] = Source(file=f"--set {text}")


def _start(draft: Draft, section: str, rest: str, text: str) -> tuple[KeyPath, Any, str]:
    """Find the mapping that a path starts in, and the keys that are left."""
    if section == "settings":
        return ("settings",), draft.settings, rest
    entries = draft.named(section)
    name, keys = _longest(rest, list(entries))
    if name is None:
        known = ", ".join(entries) or "none"
        hint = did_you_mean(rest.partition(".")[0], entries)
        raise _refused(text, "unknown-name", f"no such name in {section}", expected=known, hint=hint)
    if keys == "name":
        raise _refused(text, "bad-override", "a name cannot be changed", hint="rename it in its file")
    return (section, name), entries[name].values, keys


def _put(values: Any, rest: str, value: Any, text: str) -> KeyPath:
    """Store the value below a mapping or list; answer the keys that lead to it."""
    path: KeyPath = ()
    while True:
        key, left = _next_key(values, rest, text)
        path = (*path, key)
        if not left:
            values[key] = value
            return path
        if isinstance(values, dict) and values.get(str(key)) is None:
            values[key] = {}
        values, rest = values[key], left


def _next_key(values: Any, rest: str, text: str) -> tuple[Any, str]:
    first, _, left = rest.partition(".")
    if isinstance(values, dict) and first:
        known, known_left = _longest(rest, list(values))
        return (first, left) if known is None else (known, known_left)
    if isinstance(values, list) and first.isascii() and first.isdigit() and len(first) < 6 and int(first) < len(values):
        return int(first), left
    what = f"nothing can be set at {rest}" if rest else "the path is too short"
    raise _refused(text, "bad-override", what, hint="end the path at a key, such as settings.costs.fee_percent")


def _longest(rest: str, known: Sequence[str]) -> tuple[str | None, str]:
    """Split off the longest known name."""
    fitting = [name for name in known if rest == name or rest.startswith(f"{name}.")]
    name = max(fitting, key=len, default=None)
    return name, "" if name is None else rest[len(name) + 1 :]


def _value(written: str, text: str) -> Any:
    if written[:1] in ("[", "{", '"', "'"):
        try:
            return read_text(written, f"--set {text}")[0]
        except ConfigError as error:
            raise _refused(
                text, "bad-override", f"the value cannot be read: {error}", hint=error.problems[0].hint
            ) from error
    try:
        return resolve(written)
    except ValueError as error:
        raise _refused(text, "bad-number", str(error)) from error


def _refused(text: str, code: str, what: str, *, expected: str | None = None, hint: str | None = None) -> ConfigError:
    return ConfigError(Problem(code, what, Source(file=f"--set {text}"), expected=expected, hint=hint))
