"""The chosen params of a study as a strategy of their own, in a file of YAML that `backtest` runs with the same trades.

* The strategy is that of the config, under a new name and with its params fixed; two frames beside it are those that it
  was chosen and judged on. Exchange, risks and sizings are named, not repeated.
* Nothing is written if the config, or the code, is not that of the study any more: the trades would be others.
* No file and no name is overwritten.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

from backtestkit_cli.config.fields import NAME
from backtestkit_cli.config.merge import Config
from backtestkit_cli.config.read import write_text
from backtestkit_cli.disk import DISK, write_atomic
from backtestkit_cli.errors import ConfigError, Problem, Source, UsageError
from backtestkit_cli.measure.contest import Contestant, Outcome
from backtestkit_cli.measure.study import Study
from backtestkit_cli.model.time import TimeRange, iso
from backtestkit_cli.report.study import figures_text
from backtestkit_cli.run.contestants import config_of
from backtestkit_cli.run.identity import run_id
from backtestkit_cli.run.plan import Plan, plan_backtest
from backtestkit_cli.run.request import Request

MODE = 0o644
LONGEST = 64
FRAMES = ("search", "hold-out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What was written: the name of the strategy, the file, and the commands that run it on its frames."""

    name: str
    path: Path
    commands: tuple[str, ...]


def apply_study(config: Config, study: Study, *, name: str | None, path: Path | None, folder: Path) -> Applied:
    """Write the chosen params of a study; `folder` is where the config lies.

    Raises:
        UsageError: nothing was chosen, or something would be overwritten.
        ConfigError: the config or the code is another one now.
    """
    chosen = study.chosen
    if chosen is None or not study.made_of:
        what = f"study {study.study_id} chose nothing: it is {study.contest.run.status}"
        raise UsageError(Problem("nothing-chosen", what, hint="finish the search first: --resume"))
    _refuse_changed(config, study, chosen)
    given = f"{study.strategy[: LONGEST - 20]}-{study.study_id[:6]}" if name is None else name
    file = path or folder / f"{given}.yaml"
    _refuse_taken(config, given, file)
    DISK.make_folder(file.parent)
    write_atomic(file, write_text(_plain(config, study, chosen, given)).encode("utf-8"), mode=MODE)
    found = (
        ""
        if file.resolve().parent == folder.resolve()
        else f" --config {quote(str(folder))} --config {quote(str(file))}"
    )
    return Applied(name=given, path=file, commands=tuple(f"{one}{found}" for one in _commands(study, given)))


def made_of(config: Config, plan: Plan, contestant: Contestant) -> str:
    """A hash over everything but candles that decides what some params make of a window."""
    return run_id(config_of(config, contestant), plan, (), "complete", {})


def _refuse_changed(config: Config, study: Study, chosen: Outcome) -> None:
    run = study.contest.run
    request = Request(
        strategies=(study.strategy,),
        symbols=study.contest.symbols,
        exchange=run.exchange,
        range="..".join(iso(one) for one in (study.hold_out.start_ms, study.hold_out.end_ms)),
    )
    plan = plan_backtest(config, request)
    plan = replace(plan, frame=str(study.hold_out), tick=run.tick)
    if made_of(config, plan, chosen.contestant) != study.made_of:
        what, where = (
            f"{study.strategy} is not what study {study.study_id} searched",
            config.where("strategies", study.strategy),
        )
        hint = "its rules, its code, the settings or this program changed since: search again"
        raise ConfigError(Problem("study-changed", what, where, hint=hint))


def _refuse_taken(config: Config, name: str, file: Path) -> None:
    frames = [f"{name}-{one}" for one in FRAMES]
    if not all(NAME.match(one) for one in frames):
        expected = f"up to {LONGEST - 9} letters, digits, dots, dashes and underscores"
        raise UsageError(Problem("bad-name", f"{name!r} is no name", Source(key="--as"), expected=expected))
    if file.exists():
        what, hint = "the file is there already, and is not overwritten", "give another one with --to, or another --as"
        raise UsageError(Problem("file-exists", what, Source(file=str(file)), hint=hint))
    known = {one.casefold() for one in (*config.strategies, *config.frames)}
    taken = [one for one in (name, *frames) if one.casefold() in known]
    if taken:
        what = f"there is a strategy or a frame {taken[0]} already"
        raise UsageError(Problem("name-twice", what, Source(key="--as"), hint="give another name with --as"))


def _plain(config: Config, study: Study, chosen: Outcome, name: str) -> dict[str, Any]:
    """The file as plain values."""
    schema = config.strategies[study.strategy]
    left = schema.model_dump(mode="json", exclude_unset=True, exclude={"name", "note", "params", "search"})
    note = f"study {study.study_id} of {study.strategy} on {study.contest.run.exchange}: {figures_text(study)}"
    params = {**schema.params, **dict(chosen.contestant.params)}
    windows = zip(FRAMES, (study.contest.run.range, study.hold_out), strict=True)
    return {
        "frames": [_frame(f"{name}-{word}", window, study.contest.run.tick.value) for word, window in windows],
        "strategies": [{"name": name, "note": note, "params": params, **left}],
    }


def _frame(name: str, window: TimeRange, tick: str) -> dict[str, Any]:
    return {"name": name, "start": iso(window.start_ms), "end": iso(window.end_ms), "interval": tick}


def _commands(study: Study, name: str) -> tuple[str, ...]:
    symbols = " ".join(f"--symbol {quote(one)}" for one in study.contest.symbols)
    exchange = study.contest.run.exchange
    return tuple(
        f"backtestkit backtest {name} {symbols} --exchange {exchange} --frame {name}-{word}" for word in FRAMES
    )
