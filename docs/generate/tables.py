"""The tables of the reference, made from the code that they describe.

Rules: names, types, defaults, choices and signatures come from the code. What a key, a metric or a code *means* is
written by hand in `words.yaml`; a meaning that is missing, or left over, is an error.
"""

import enum
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from backtestkit_cli.config import fields as kinds
from backtestkit_cli.config import schema
from backtestkit_cli.config.market_schema import PluginExchange
from backtestkit_cli.config.settings import Fill, LimitsSchema, Settings
from backtestkit_cli.config.stake_schema import Check, PluginSizing
from backtestkit_cli.config.strategy_schema import Entry, Level, SidesSchema
from backtestkit_cli.config.varied import Varied
from backtestkit_cli.engine.draft import broken_rules
from backtestkit_cli.engine.drafts import DISTANCE_RULES
from backtestkit_cli.engine.rules.functions import FUNCTIONS, LENGTHS
from backtestkit_cli.engine.rules.parse import COLUMNS
from backtestkit_cli.errors import BacktestkitError
from backtestkit_cli.measure.no_trade import remedy
from backtestkit_cli.measure.original_metrics import Happened, original_metrics
from backtestkit_cli.measure.statistics import empty_metrics
from backtestkit_cli.model.event import CancelReason, CloseReason
from backtestkit_cli.model.funnel import Funnel
from backtestkit_cli.model.limits import Limits
from backtestkit_cli.model.policy import PRESETS, policy_keys
from backtestkit_cli.run.risk import NUMBERS, TRUTHS

WORDS = Path(__file__).with_name("words.yaml")
ORIGINAL = Path(__file__).with_name("original.yaml")
SHARED_OPTIONS = ("--config", "--set", "--json", "--verbose")
LENGTHS_SHOWN = {"n": 10, "fast": 12, "slow": 26, "smooth": 3, "signal": 3}
TYPES: tuple[tuple[Any, str], ...] = (
    (kinds.Text, "text"),
    (kinds.Name, "name"),
    (kinds.Identifier, "name"),
    (kinds.Symbol, "symbol"),
    (kinds.FunctionReference, "`path.py:name`"),
    (kinds.PluginReference, "plugin"),
    (kinds.Address, "address"),
    (kinds.PeopleAddress, "address"),
    (kinds.FilePath, "path"),
    (kinds.Time, "time"),
    (kinds.StartTime, "time, whole minute"),
    (kinds.AnyInterval, "interval"),
    (kinds.StrategyInterval, "interval"),
    (kinds.Duration, "duration"),
    (kinds.WarmUp, "duration"),
    (kinds.Metric, "metric"),
    (kinds.NumberFormat, "number format"),
    (kinds.Expression, "expression"),
    (kinds.ParamValue, "number, text or truth value"),
    (kinds.Positive, "number > 0"),
    (kinds.NotNegative, "number ≥ 0"),
    (kinds.Count, "whole number ≥ 1"),
    (kinds.WholeNumber, "whole number ≥ 0"),
    (Level, "distance, or `{long, short}`"),
    (Check, "`path.py:name`, or `{allow, note}`"),
    (Entry, "`market`, or `{limit, wait}`"),
    (Fill, "fill policy, or a mapping"),
    (Varied, "list, or `{from, to, step}`"),
)
FORMS: Mapping[str, Sequence[tuple[str, type[BaseModel]]]] = {
    "exchanges": [*schema.EXCHANGES.items(), ("path.py:name", PluginExchange)],
    "sizings": [*schema.SIZINGS.items(), ("path.py:name", PluginSizing)],
}
CHOOSERS = {"exchanges": "use", "sizings": "method"}


def words(section: str) -> dict[str, str]:
    """The hand-written meanings of one section."""
    found: dict[str, str] = yaml.safe_load(WORDS.read_text(encoding="utf-8"))[section]
    return found


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def explained(section: str, names: Sequence[str], heads: tuple[str, str]) -> str:
    """A table of codes with their meanings.

    Raises:
        LookupError: a meaning is missing, or one is about nothing.
    """
    known = words(section)
    refuse_difference(section, set(names), set(known))
    return table(heads, [(f"`{name}`", known[name]) for name in names])


def refuse_difference(section: str, names: set[str], known: set[str]) -> None:
    """Hold that everything is explained and nothing else is.

    Raises:
        LookupError: it is not so.
    """
    if missing := sorted(names - known):
        raise LookupError(f"words.yaml › {section} does not explain {', '.join(missing)}")
    if extra := sorted(known - names):
        raise LookupError(f"words.yaml › {section} explains what is not there: {', '.join(extra)}")


def commands() -> str:
    """Each command with its arguments and options."""
    return "\n\n".join(_command(name, command) for name, command in all_commands())


def all_commands() -> list[tuple[str, Any]]:
    """Every command that does something, with its full name."""
    import typer

    from backtestkit_cli.cli.app import app

    def leaves(path: str, command: Any) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield path, command
        for name, one in (inner or {}).items():
            yield from leaves(f"{path} {name}", one)

    return list(leaves("backtestkit", typer.main.get_command(app)))


def _command(name: str, command: Any) -> str:
    own, shared = [], []
    for one in command.params:
        is_argument = one.param_type_name == "argument"
        spelled = [str(one.metavar)] if is_argument else one.opts
        if not is_argument and spelled[0] in SHARED_OPTIONS:
            shared.append(f"`{spelled[0]}`")
            continue
        takes = f" {one.metavar}" if one.metavar and not is_argument else ""
        meaning = " ".join(str(one.help).split())
        if one.required:
            meaning += " Required."
        elif one.default not in (None, False, "", ()):
            meaning += f" Default: `{one.default}`."
        own.append((", ".join(f"`{text}{takes}`" for text in spelled), meaning))
    parts = [f"### `{name}`", " ".join(str(command.help).split())]
    parts += [table(("Argument or option", "Meaning"), own)] if own else []
    parts.append(f"Also: {', '.join(shared)}.")
    return "\n\n".join(parts)


def keys() -> str:
    """Every key of a config file: type, default, meaning."""
    known = words("keys")
    used: set[str] = set()
    parts = [_section("### `settings`", "settings", [("settings", Settings)], known, used)]
    for kind, model in schema.KINDS.items():
        forms = FORMS.get(kind, [("", model)])
        for form, one in forms:
            chooser = f" with `{CHOOSERS[kind]}: {form}`" if form else ""
            place = f"{kind}({form})" if form else kind
            parts.append(_section(f"### `{kind}`{chooser}", place, [(place, one)], known, used))
    refuse_difference("keys", used, set(known))
    return "\n\n".join(parts)


def _section(
    head: str, place: str, models: Sequence[tuple[str, type[BaseModel]]], known: Mapping[str, str], used: set[str]
) -> str:
    rows = []
    for path, kind, default, listed in (row for start, model in models for row in key_rows(start, model)):
        short = path.removeprefix(f"{place}.")
        name = next((one for one in (path, f"*.{short}") if one in known), path)
        used.add(name)
        rows.append((f"`{short}`", kind, default, (known.get(name, "") + listed).strip()))
    return f"{head}\n\n" + table(("Key", "Type", "Default", "Meaning"), rows)


def key_rows(path: str, model: type[BaseModel]) -> Iterator[tuple[str, str, str, str]]:
    """Each key below a model: path, type, default, and the keys it stands for where several are alike."""
    hints = get_type_hints(model, include_extras=True)
    names = [name for name in hints if name in model.model_fields]
    is_alike = len(names) > 2 and all(hints[name] == hints[names[0]] for name in names)
    if is_alike or model.__name__.endswith("Callbacks"):
        listed = f" Key{'s' * (len(names) > 1)}: " + ", ".join(f"`{name}`" for name in names) + "."
        yield from _key(f"{path}.…", hints[names[0]], model.model_fields[names[0]], listed)
        return
    for name in names:
        yield from _key(f"{path}.{name}", hints[name], model.model_fields[name], "")


def _key(path: str, hint: Any, field: FieldInfo, listed: str) -> Iterator[tuple[str, str, str, str]]:
    inner = list(models_in(hint))
    if type_words(hint) is None and inner:
        for suffix, model in inner:
            yield from key_rows(path + suffix, model)
        return
    yield path, type_words(hint) or "", default_words(field), listed
    for suffix, model in inner:
        yield from key_rows(path + suffix, model)


def models_in(hint: Any, suffix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The sections a type holds, with what stands between its key and theirs."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        if hint is not SidesSchema:
            yield suffix, hint
        return
    if get_origin(hint) is dict:
        yield from models_in(get_args(hint)[1], f"{suffix}.NAME")
        return
    if get_origin(hint) is tuple:
        yield from models_in(get_args(hint)[0], f"{suffix}[]")
        return
    if get_origin(hint) in (Annotated, Union, UnionType):
        for one in get_args(hint)[: 1 if get_origin(hint) is Annotated else None]:
            yield from models_in(one, suffix)


def type_words(hint: Any) -> str | None:
    """What stands behind a key, in words; None for a section."""
    for known, text in TYPES:
        if hint == known:
            return text
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return type_words(arguments[0])
    if origin is tuple:
        inner = type_words(arguments[0])
        return f"list of {inner}s" if inner in ("name", "symbol") else f"list of {inner or 'mappings'}"
    if origin is dict:
        inner = type_words(arguments[1])
        return "mapping" if inner is None else f"mapping of names to {inner}"
    if origin in (Union, UnionType):
        texts = [type_words(one) for one in arguments if one is not NoneType]
        return " or ".join(text for text in texts if text) or None
    if origin is Literal:
        return " · ".join(f"`{one}`" for one in arguments)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return None
    plain = {bool: "`true` · `false`", str: "text", float: "number", int: "whole number"}
    if hint in plain:
        return plain[hint]
    raise LookupError(f"no words for the type {hint}")


def default_words(field: FieldInfo) -> str:
    """The default of a key as it would be written."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def functions() -> str:
    """The functions of the rule language, with the history that an example of each needs."""
    rows = []
    for name, function in FUNCTIONS.items():
        lengths = [LENGTHS_SHOWN[taken] for taken in function.takes if taken in LENGTHS]
        span = function.span(*lengths)
        shown = [str(LENGTHS_SHOWN[taken]) if taken in LENGTHS else taken for taken in function.takes]
        texts = (inspect.getdoc(function.compute) or "").splitlines()
        meaning = "Value without its sign." if function.compute is np.abs else texts[0]
        call = f"{name}({', '.join(function.takes)})".replace("...", "…")
        example = f"{name}({', '.join(shown)})".replace("...", "…") if lengths else ""
        needed, settled = span.needed + span.earlier, span.settled + span.earlier
        counts = f"{needed} / {settled}" + (f" for `{example}`" if example else "")
        answers = "condition" if function.answers == "truth" else "number"
        rows.append((f"`{call}`", answers, meaning, counts if needed else "–"))
    return table(("Function", "Gives", "Meaning", "Candles needed / settled"), rows)


def columns() -> str:
    """The columns a rule can name."""
    return explained("columns", sorted(COLUMNS, key=list(words("columns")).index), ("Column", "Meaning"))


def all_metrics() -> str:
    """The metrics of a report."""
    empty = empty_metrics()
    formulas = words("metrics")
    refuse_difference("metrics", {one.key for one in empty}, set(formulas))
    rows = [
        (
            f"`{one.key}`",
            one.label,
            one.unit or "–",
            formulas[one.key],
            f"N/A: {one.reason}" if one.value is None else f"{one.value:g}",
        )
        for one in empty
    ]
    return table(("Key", "In the report", "Unit", "Formula", "Without trades"), rows)


def original() -> str:
    """The original's figures of a stream."""
    empty = original_metrics(Happened(trades=()), "original")
    formulas = words("original")
    refuse_difference("original", {one.key for one in empty}, set(formulas))
    rows = [
        (f"`original.{one.key}`", one.unit or "–", formulas[one.key], f"N/A: {one.reason}" if one.reason else "0")
        for one in empty
    ]
    return table(("Key", "Unit", "Formula", "Without trades"), rows)


def funnel() -> str:
    """The counts of the signal funnel."""
    return explained("funnel", [one.name for one in fields(Funnel)], ("Count", "Meaning"))


def reasons() -> str:
    """Why positions close and entries are given up."""
    names = [*(f"closed: {one.value}" for one in CloseReason), *(f"cancelled: {one.value}" for one in CancelReason)]
    return explained("reasons", names, ("Reason", "Meaning"))


def draft_rules() -> str:
    """The rules a draft can break, with what mends it."""
    one = np.ones(1)
    true = np.ones(1, dtype=bool)
    columns_of_one = dict.fromkeys(("price", "price_open", "take_profit", "stop_loss", "lifetime", "wait"), one)
    found = broken_rules(is_long=true, is_scheduled=true, limits=Limits(), **columns_of_one)
    names = [name for name, _ in found] + [name for _, name in DISTANCE_RULES]
    pairs = {name: f"`{name}`, `{name.replace('long_', 'short_', 1)}`" for name in names if name.startswith("long_")}
    shown = [name for name in names if not name.startswith("short_")]
    rows = [(pairs.get(name, f"`{name}`"), _sentence(remedy(name))) for name in shown]
    return table(("Rule", "Meaning"), [*rows, ("`position_invalid`", words("rules")["position_invalid"])])


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def policies() -> str:
    """The keys of each fill policy."""
    chosen = [[f"`{getattr(policy, key)}`" for policy in PRESETS.values()] for key in policy_keys()]
    rows = [
        (f"`{key}`", " · ".join(f"`{value}`" for value in values), *own)
        for (key, values), own in zip(policy_keys().items(), chosen, strict=True)
    ]
    return table(("Key", "Values", *(f"`{name}`" for name in PRESETS)), rows)


def risk_names() -> str:
    """The names a risk expression can use."""
    known = words("risk")
    refuse_difference("risk", {*NUMBERS, *TRUTHS}, set(known))
    return table(("Name", "Meaning"), [(f"`{name}`", meaning) for name, meaning in known.items()])


def exit_codes() -> str:
    """The exit codes with the errors that lead to them."""
    meanings = {code: words("exits")[str(code)] for code in (0, 1, 130, 143)}
    classes: list[type[BacktestkitError]] = [BacktestkitError, *BacktestkitError.__subclasses__()]
    for one in classes:
        if one.exit_code not in meanings:
            meanings[one.exit_code] = words("exits")[str(one.exit_code)]
    refuse_difference("exits", {str(code) for code in meanings}, set(words("exits")))
    return table(("Code", "Meaning"), [(str(code), meanings[code]) for code in sorted(meanings)])


def constants() -> str:
    """The constants of the original, with the keys that replace them and their defaults."""
    rows = []
    for name, path in words("constants").items():
        value: Any = Settings()
        for part in path.split(".")[1:]:
            value = getattr(value, part)
        rows.append((f"`{name}`", f"`{path}`", f"`{str(value).lower() if isinstance(value, bool) else f'{value:g}'}`"))
    return table(("Constant of the original", "Key here", "Default"), rows)


def limits_without_constant() -> set[str]:
    """Keys of `settings.limits` that no constant of the original stands for."""
    named = set(words("constants").values())
    return {name for name in LimitsSchema.model_fields if f"settings.limits.{name}" not in named}


def original_names() -> str:
    """Every public name of the original beside ours, or the reason why there is none."""
    groups: dict[str, dict[str, Any]] = yaml.safe_load(ORIGINAL.read_text(encoding="utf-8"))
    rows: list[tuple[str, str, str]] = []
    for group, names in groups.items():
        rows.append((f"**{group}**", "", ""))
        rows += [(f"`{name}`", _ours(told), _remark(told)) for name, told in names.items()]
    return table(("Original", "Ours", "Remark"), rows)


def _ours(told: Mapping[str, Any]) -> str:
    return ", ".join(f"`{one}`" for one in told.get("ours", ())) or "–"


def _remark(told: Mapping[str, Any]) -> str:
    later = f"comes with {told['later']}" if "later" in told else None
    texts = [text for text in (later, told.get("none"), told.get("how")) if text]
    return _sentence("; ".join(texts)) if texts else ""
