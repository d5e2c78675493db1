"""The story of an instant as a JSON document: names as in the story, times as ISO text, numbers in full."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum, StrEnum
from typing import Any

from backtestkit_cli.measure.story import Story
from backtestkit_cli.model.time import iso
from backtestkit_cli.report.story import headline

TIMES = frozenset({"time", "decided_at", "opened_at"})


def stories_document(stories: Sequence[Story]) -> dict[str, Any]:
    """All stories of one instant."""
    first = stories[0]
    told = [{"headline": headline(story), "is_as_stored": not story.difference, **plain(story)} for story in stories]
    return {"run_id": first.run_id, "time": iso(first.asked_ms), "stories": told}


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if is_dataclass(value):
        return _keys({one.name: getattr(value, one.name) for one in fields(value)})
    if hasattr(value, "_asdict"):
        return _keys(value._asdict())
    match value:
        case StrEnum():
            return value.value
        case Enum():
            return value.name.lower()
        case Mapping():
            return {str(key): plain(one) for key, one in value.items()}
        case tuple() | list():
            return [plain(one) for one in value]
        case float():
            return value if math.isfinite(value) else None
        case _:
            return value


def _keys(values: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_told(key, value) for key, value in values.items())


def _told(key: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, int) and (key.endswith("_ms") or key in TIMES):
        return key.removesuffix("_ms"), iso(value)
    return key.removesuffix("_ms"), plain(value)
