"""The optimizer of the original against ours: pages, distinct rows, conversations, and the parts of the project.

Ours asks for several drafts of a range once all its sources are told; the conversations after each source are the same.
The sections that are code of the original (banner, three functions, launcher) have no counterpart that could be equal.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from golden.golden_records import differences

from backtestkit_cli import Kit
from backtestkit_cli.model.message import Message
from backtestkit_cli.model.time import TimeRange, parse_time
from backtestkit_cli.plugins.reference import resolve
from backtestkit_cli.run.drafting.conversation import gather
from backtestkit_cli.run.drafting.disguise import Undisguised
from backtestkit_cli.run.drafting.project import project_values
from backtestkit_cli.run.drafting.rows import FunctionRows, Row, SourceQuery

SYMBOL = "BTCUSDT"
TEST = (1_704_844_800_000, 1_704_931_200_000)


class Texts:
    """The texts of the recording: a function has the default ones, an object its own."""

    def __init__(self, sources: Sequence[Mapping[str, Any]]) -> None:
        self.sources = sources

    def about(self, place: int, name: str, rows: Sequence[Row]) -> tuple[Message, ...]:
        count = len(rows)
        if self.sources[place]["kind"] == "function":
            asked, said = f"default user {SYMBOL} {name} {count}", f"default assistant {name}"
        else:
            ids = "+".join(str(row["id"]) for row in rows)
            asked, said = f"user {SYMBOL} {name} {count} {ids}", f"assistant {name} {count}"
        return Message(role="user", content=asked), Message(role="assistant", content=said)


def optimizer(row: Mapping[str, Any]) -> Iterator[str]:
    ranges = [TimeRange(*one) for one in row["ranges"]]
    kit = Kit.empty(Path("/nowhere"))
    fetches: list[dict[str, int]] = []
    sources = [_source(kit, place, one, fetches) for place, one in enumerate(row["sources"])]
    progress: list[list[float]] = []
    gathered = list(
        gather(
            ranges,
            [source.name for source in sources],
            lambda place, within: tuple(sources[place].rows(SYMBOL, within, Undisguised())),
            lambda _: Texts(row["sources"]),
            lambda _: (),
            lambda done, total: progress.append([done, total, done / total]),
        )
    )
    read = [
        {"name": one.source, "rows": len(one.rows), "start": one.range.start_ms, "end": one.range.end_ms}
        for one in gathered
    ]
    prompts = [[[message.role, message.content] for message in one.messages] for one in gathered]
    texts = [f"strategy after {len(one.messages)} messages" for one in gathered]
    yield from differences(row["fetches"], fetches, "fetches")
    yield from differences(row["progress"], progress, "progress")
    yield from differences(row["source_data"], read, "source data")
    yield from differences(row["prompts"], prompts, "prompts")
    yield from differences([one["strategy"] for one in row["strategies"]], texts, "strategies")
    known = ("EXCHANGE", "FRAME", "STRATEGY", "WALKER")
    expected = [section for section in row["code_sections"] if section.startswith(known)]
    yield from differences(expected, list(_sections(kit, ranges, texts)), "sections")


def _source(kit: Kit, place: int, given: Mapping[str, Any], fetches: list[dict[str, int]]) -> FunctionRows:
    ids = given["ids"]

    def fetch(query: SourceQuery) -> list[Row]:
        start, end, limit, offset = query.start_ms, query.end_ms, query.limit, query.offset
        fetches.append({"source": place, "start": start, "end": end, "limit": limit, "offset": offset})
        return [{"id": one} for one in ids[offset : offset + limit]]

    name = "unknown" if given["kind"] == "function" else f"source_{place}"
    plugin = resolve(kit.registry.give("source", fetch), "source", Path("/nowhere"), kit.registry)
    return FunctionRows(name, plugin, fetch)


def _sections(kit: Kit, ranges: Sequence[TimeRange], texts: Sequence[str]) -> Iterator[str]:
    """The parts of our project, in their order, in the words of the recording."""
    kit.add_exchange(name="market", use="sample")
    train = [{"start": one.start_ms, "end": one.end_ms} for one in ranges]
    kit.add_optimizer(
        name="drafts",
        use="ollama",
        model="any",
        exchange="market",
        symbol=SYMBOL,
        train=train,
        test={"start": TEST[0], "end": TEST[1]},
        sources=[{"candles": "1h"}],
    )
    drafts = {
        f"draft-{number}": {"name": f"draft-{number}", "interval": "5m", "rules": {"note": text}}
        for number, text in enumerate(texts, 1)
    }
    values = project_values(kit.config, "drafts", drafts, Path("/nowhere/drafts"))
    names = {"market": "<prefix>_exchange", "test": "<prefix>_test_frame", "drafts": "<prefix>_walker"}
    names |= {name: f"<prefix>_{name.replace('draft', 'strategy')}" for name in drafts}
    for section, entries in values.items():
        for one in entries if section != "settings" else ():
            name = names.get(one["name"], f"<prefix>_{one['name'].replace('train', 'train_frame')}")
            match section:
                case "exchanges":
                    yield f"EXCHANGE {name}"
                case "frames":
                    interval = one.get("interval", "1m")
                    yield f"FRAME {name} {interval} {parse_time(one['start'])} {parse_time(one['end'])}"
                case "strategies":
                    yield f"STRATEGY {name} {one['interval']} {one['rules']['note']}"
                case _:
                    strategies = "+".join(names[strategy] for strategy in one["strategies"])
                    yield f"WALKER {name} {names[one['exchange']]} {names[one['frame']]} {strategies}"
