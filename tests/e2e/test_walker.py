"""`walker` through the real command and through the library."""

import csv
import io
import json
import shutil
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.project import START_MS, Project, candle_csv, candle_rows, make_project

from backtestkit_cli import Kit, RunFailed, StrategyDone, StrategyFailed, StrategyStarted, WalkerDone, WalkerProgress
from backtestkit_cli.errors import BacktestkitError, UsageError
from backtestkit_cli.model.event import WalkerEvent
from backtestkit_cli.model.time import TimeRange
from backtestkit_cli.report.contest_json import contest_from, contest_json
from backtestkit_cli.run import contestant, workforce
from backtestkit_cli.run.contestants import plan_walker
from backtestkit_cli.run.loaded import load_for_all
from backtestkit_cli.run.pool import workers
from backtestkit_cli.run.trials import TrialLedger
from backtestkit_cli.run.walker import Walker
from backtestkit_cli.run.workforce import Setting, Stage, Task, Workforce

WALKER = """\
walkers:
  - name: duel
    note: "who is it?"
    exchange: sample
    frame: week
    metric: pnl_percent
    strategies: [param, cross, asked]
    vary: {param: {length: [8, 30], percent: {from: 1, to: 2, step: 1}}}
strategies:
  - name: param
    interval: 15m
    params: {length: 4, percent: 1}
    rules:
      long: "crosses_above(close, sma(close, length))"
      take_profit: "percent * 0.01 * close"
      stop_loss: "1%"
      lifetime: 6h
"""
VARIANTS = [f"param(length={length}, percent={percent})" for length in (8, 30) for percent in (1, 2)]
NAMES = [*VARIANTS, "cross", "asked"]
FAILING = "raise ValueError('on purpose') if candles is not None else None"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path)
    made.write("configs/walker.yaml", WALKER)
    return made


def told(project: Project, *arguments: str, code: int = 0) -> Any:
    done = project.inside("walker", *arguments, "--json")
    assert done.code == code, done.stderr
    return done.document


def kept(project: Project, name: str = "duel") -> dict[str, bytes]:
    folder = project.folder / "logs" / "walker"
    paths = [*sorted(folder.glob(f"{name}.*")), folder / name / "contest.json"]
    return {path.name: path.read_bytes() for path in paths}


def test_each_contestant_shows_what_its_backtest_shows(project: Project) -> None:
    found = told(project, "duel")
    rows = {row["strategy"]: row for row in found["comparison"]["ranking"]}
    assert set(rows) == set(NAMES)
    assert [row["place"] for row in rows.values()] == [1, 2, 3, 4, 5, 6]
    values = [row["value"] for row in rows.values()]
    assert values == sorted(values, reverse=True)
    for name, row in rows.items():
        sets = [f"strategies.param.params.{one.strip()}" for one in row["params"].split(",") if one]
        more = [part for one in sets for part in ("--set", one)]
        alone = project.inside("backtest", row["base"], "--frame", "week", *more, "--json").document
        metrics = alone["streams"][0]["metrics"]
        assert row["run_id"] == alone["run"]["run_id"], name
        for key in ("trades", "win_rate_percent", "max_drawdown_percent", "sharpe_ratio"):
            assert row[key] == metrics[key]
        assert row["value"] == metrics["pnl_percent"]
        if name == found["best"]["contestant"]["name"]:
            assert found["best"]["metrics"] == {key: metrics[key] for key in found["best"]["metrics"]}
            assert found["summary"]["buy_and_hold_percent"] == alone["summary"]["buy_and_hold_percent"]


def test_the_text_leads_with_the_best_and_tops_the_table(project: Project) -> None:
    done = project.inside("walker", "duel", "--top", "2")
    best = json.loads(kept(project)["duel.json"])["best"]["contestant"]["name"]
    lines = done.stdout.splitlines()
    assert lines[0] == "Comparison of duel on BTCUSDT"
    assert best in " ".join(lines[1:3])
    assert "4 more contestants in logs/walker/duel.md" in done.stdout
    assert "the best of 6 is flattered by luck" in done.stdout
    assert max(map(len, lines)) <= 80
    assert [line for line in done.stderr.splitlines() if line.startswith("wrote")] == [
        f"wrote logs/walker/duel.{ending}" for ending in ("md", "json", "csv", "html")
    ]
    rows = list(csv.DictReader(io.StringIO(kept(project)["duel.csv"].decode())))
    assert {row["strategy"] for row in rows} == set(NAMES)


def test_the_map_of_two_params_has_the_value_of_each_variant(project: Project) -> None:
    found = told(project, "duel", "--metric", "trades")
    cells = {row["length"]: row for row in found["comparison"]["heat_param"]}
    values = {row["strategy"]: row["value"] for row in found["comparison"]["ranking"]}
    for length in ("8", "30"):
        for percent in ("1", "2"):
            assert cells[length][f"percent={percent}"] == values[f"param(length={length}, percent={percent})"]
    page = kept(project)["duel.html"].decode()
    assert '<table class="heat">' in page
    assert "gain heat-5" in page


@pytest.mark.parametrize("metric", ["max_drawdown_percent", "original.sharpe_ratio", "original_all.heat_max_drawdown"])
def test_any_metric_ranks_in_its_own_direction(project: Project, metric: str) -> None:
    rows = told(project, "duel", "--metric", metric)["comparison"]["ranking"]
    values = [row["value"] for row in rows]
    assert None not in values
    assert values == sorted(values, reverse=metric == "original.sharpe_ratio")


def test_processes_and_the_order_of_the_config_change_nothing(project: Project) -> None:
    project.plugin("bad", FAILING)
    strategies = ("--set", "walkers.duel.strategies=[param, bad, cross]")
    one = project.inside("walker", "duel", *strategies, "--json")
    files = kept(project)
    two = project.inside("walker", "duel", *strategies, "--jobs", "2", "--json")
    assert (one.code, two.stdout) == (4, one.stdout)
    assert kept(project) == files
    other = told(project, "duel", "--set", "walkers.duel.strategies=[cross, bad, param]", code=4)
    rows = {row["strategy"]: row for row in other["comparison"]["ranking"]}
    assert rows == {row["strategy"]: row for row in one.document["comparison"]["ranking"]}


def test_rules_are_tested_here_until_other_processes_are_worth_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def watched(count: int, *given: Any) -> Any:
        started.append(count)
        return workers(count, *given)

    monkeypatch.setattr(workforce, "workers", watched)
    rules = ("--set", "walkers.duel.strategies=[cross, param]")
    whole = told(project, "duel", *rules, "--jobs", "2")
    files = kept(project)
    assert not started
    monkeypatch.setattr(workforce, "WORTH_SECONDS", 0.0)
    assert told(project, "duel", *rules, "--jobs", "2") == whole
    assert kept(project) == files
    assert started == [2]


def test_several_stages_are_tested_in_any_process_in_the_order_asked(project: Project) -> None:
    kit = Kit.load(project.folder / "configs")
    plans = [plan_walker(kit.config, "duel", frame=name) for name in ("week", "day")]
    stages = [Stage(plans[0]), Stage(plans[1], plans[1].range.end_ms + 60_000_000)]
    loaded = load_for_all(kit.config, plans[0].shared, kit.registry, 10_000)
    here = [
        contestant.Tester(config=kit.config, plan=plan, registry=kit.registry, logs=kit.logs, loaded=known)
        for plan, known in zip(plans, (loaded, loaded.until(stages[1].end_ms or 0)), strict=True)
    ]
    tasks = [Task(place % 2, one) for place, one in enumerate(plans[0].contestants)]
    alone = [here[task.stage].test(task.contestant) for task in tasks]
    setting = Setting.of(here[0], stages, plans[0].shared, 10_000)
    with Workforce(here=here, total=12, jobs=2, elsewhere=setting) as both:
        assert [*both.results(tasks), *both.results(tasks[::-1])] == [*alone, *alone[::-1]]


def test_of_each_contestant_little_is_held_and_nothing_is_lost(project: Project) -> None:
    project.write("configs/long.yaml", "frames: [{name: long, start: 2023-01-01, end: 2023-04-01}]\n")

    def held(count: int) -> tuple[Walker, int]:
        vary = f"{{param: {{percent: {{from: 1, to: {count}, step: 1}}}}}}"
        overrides = ("walkers.duel.strategies=[param]", f"walkers.duel.vary={vary}")
        walker = Kit.load(project.folder / "configs", overrides=overrides).walker("duel", frame="long")
        before = tracemalloc.get_traced_memory()[0]
        walker.run()
        return walker, tracemalloc.get_traced_memory()[0] - before

    held(2)
    tracemalloc.start()
    try:
        few, many = held(10), held(60)
    finally:
        tracemalloc.stop()
    assert len(many[0].outcomes) == 60
    assert many[1] - few[1] < 50 * 5000
    contest = many[0].result().contest
    assert contest_from(contest_json(contest)).outcomes == contest.outcomes
    assert contest.outcomes[3].equity == few[0].outcomes[3].equity
    assert contest.outcomes[3].findings == few[0].outcomes[3].findings


def interrupted_after(walker: Walker, count: int) -> None:
    """Run a walker until so many contestants are done with, and keep what was found."""
    events = iter(walker)
    for event in events:
        if isinstance(event, WalkerProgress) and event.done_strategies == count:
            break
    assert isinstance(events, Iterator)
    events.close()  # type: ignore[attr-defined]  # a generator
    walker.result("interrupted").dump()


def test_an_interrupted_one_goes_on_where_it_was(project: Project) -> None:
    whole = project.inside("walker", "duel", "--json")
    files, place = kept(project), project.folder / "logs" / "walker"
    shutil.rmtree(place)
    kit = Kit.load(project.folder / "configs")
    interrupted_after(kit.walker("duel"), 3)
    text = (place / "duel.md").read_text("utf-8")
    assert "interrupted" in text
    assert "3 contestants of 6 not tested" in text
    results = place / "duel" / "results.jsonl"
    assert len(results.read_text().splitlines()) == 3
    results.write_text(results.read_text() + "half a li")
    resumed = project.inside("walker", "duel", "--resume", "--json")
    assert resumed.stdout == whole.stdout
    assert kept(project) == files


def test_only_what_still_holds_is_taken_over(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    tested: list[str] = []
    original = Walker._minutes_passed

    def watched(walker: Walker, strategy: str, symbol: str, minutes: int) -> None:
        tested.append(strategy) if not minutes else None
        original(walker, strategy, symbol, minutes)

    monkeypatch.setattr(Walker, "_minutes_passed", watched)

    def again(*overrides: str) -> set[str]:
        tested.clear()
        told(project, "duel", "--resume", *overrides)
        return set(tested)

    assert again() == {"param", "cross", "asked"}
    assert again() == set()
    assert again("--metric", "sharpe_ratio") == set()
    assert again("--set", "strategies.cross.interval=30m") == {"cross"}
    assert again("--metric", "original.win_rate") == {"param", "cross", "asked"}
    assert again("--set", "exchanges.sample.seed=8") == {"param", "cross", "asked"}
    project.write("strategies/own.py", (project.folder / "strategies" / "own.py").read_text() + "\n# another\n")
    assert again() == {"param", "cross", "asked"}
    results = project.folder / "logs" / "walker" / "duel" / "results.jsonl"
    results.write_text(results.read_text().replace('"trades": ', '"trades": 1'))
    assert again() == {"param", "cross", "asked"}


def test_results_of_other_candles_are_not_taken_over(project: Project) -> None:
    rows = candle_rows(4 * 1440, start_ms=START_MS - 1440 * 60_000)
    options = ("--set", "walkers.duel.exchange=files", "--set", "walkers.duel.frame=day", "--json")
    project.write("data/BTCUSDT.csv", candle_csv(rows))
    first = project.inside("walker", "duel", *options).document
    # a price in the middle of the day, and with it what is made
    rows[2000:2100] = [[time, *(price * 1.05 for price in prices), volume] for time, *prices, volume in rows[2000:2100]]
    project.write("data/BTCUSDT.csv", candle_csv(rows))
    resumed = project.inside("walker", "duel", "--resume", *options).document
    assert resumed == project.inside("walker", "duel", *options).document
    assert resumed["comparison"]["ranking"] != first["comparison"]["ranking"]


def test_a_contestant_that_fails_is_listed_and_the_rest_goes_on(project: Project) -> None:
    project.plugin("bad", FAILING)
    project.plugin("late", "1 / 0")
    failed = told(project, "duel", "--set", "walkers.duel.strategies=[bad, param, late]", code=4)
    assert {row["strategy"] for row in failed["comparison"]["ranking"]} == {*VARIANTS, "late"}
    (row,) = failed["comparison"]["failed_contestants"]
    assert (row["strategy"], row["code"]) == ("bad", "strategy-raised")
    assert "ValueError: on purpose" in row["what"]
    warnings = {one["code"] for one in failed["comparison"]["warnings"]}
    assert {"contestants-failed", "contestant-errors"} <= warnings
    done = project.inside("walker", "duel", "--set", "walkers.duel.strategies=[bad]", "--set", "walkers.duel.vary={}")
    assert done.code == 4
    assert "bad failed: " in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_reports_what_was_finished(project: Project) -> None:
    project.plugin("killed", "os.kill(os.getpid(), 2); time.sleep(9)")
    done = project.outside("walker", "duel", "--set", "walkers.duel.strategies=[param, killed, cross]", "--json")
    assert (done.code, done.document["error"]["code"]) == (130, "interrupted")
    assert "interrupted: 4 of 6 contestants were finished; --resume goes on" in done.stderr
    text = kept(project)["duel.md"].decode()
    assert "interrupted: only finished streams" in text
    assert "2 contestants of 6 not tested" in text


def results_of(project: Project, name: str = "results") -> list[str]:
    path = project.folder / "logs" / "walker" / "duel" / f"{name}.jsonl"
    return [line for line in path.read_text().splitlines() if line] if path.exists() else []


def test_with_nothing_finished_the_last_report_and_its_results_stay(project: Project) -> None:
    told(project, "duel")
    files, results = kept(project), results_of(project)
    project.plugin("killed", "os.kill(os.getpid(), 2); time.sleep(9)")
    done = project.outside("walker", "duel", "--set", "walkers.duel.strategies=[killed, param]")
    assert done.code == 130
    assert "0 of 5 contestants were finished, none with a result; reports are as they were" in done.stderr
    assert (kept(project), results_of(project), done.stdout) == (files, results, "")


def test_results_of_an_interrupted_run_lie_beside_those_before_it(project: Project) -> None:
    told(project, "duel")
    kit = Kit.load(project.folder / "configs")
    interrupted_after(kit.walker("duel"), 1)
    assert (len(results_of(project)), len(results_of(project, "earlier"))) == (1, 6)
    done = project.inside("walker", "duel", "--resume")
    assert "took over 6 of 6 results\n" in done.stderr
    assert results_of(project, "earlier") == []
    changed = project.inside("walker", "duel", "--resume", "--set", "strategies.cross.interval=30m")
    assert "took over 5 of 6 results; 1 did not hold any more" in changed.stderr
    told(project, "duel")
    assert (len(results_of(project)), results_of(project, "earlier")) == (6, [])


def test_another_frame_takes_the_place_of_the_one_in_the_config(project: Project) -> None:
    assert told(project, "duel", "--frame", "day")["run"]["frame"] == "day"
    assert project.inside("walker", "duel", "--frame", "never", "--json").document["error"]["code"] == "unknown-frame"


def test_a_comparison_without_a_result_says_nothing_that_is_not_so(project: Project) -> None:
    project.plugin("bad", FAILING)
    done = project.inside("walker", "duel", "--set", "walkers.duel.strategies=[bad]", "--set", "walkers.duel.vary={}")
    assert "no contestant came to a result" in done.stdout
    for wrong in ("no price in the range", "none of 0", "0 pairs"):
        assert wrong not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nobody",), "unknown-name"),
        (("duel", "--metric", "luck"), "unknown-metric"),
        (("duel", "--set", "walkers.duel.metric=luck"), "unknown-metric"),
        (("duel", "--symbol", "a b"), "bad-symbol"),
        (("duel", "--set", "walkers.duel.vary.param.percent=[half]"), None),
        (("duel", "--set", "walkers.duel.vary.asked={speed: [1, 2]}"), "unknown-key"),
        (("duel", "--set", "walkers.duel.vary.param.length={from: 1, to: 5000, step: 0.5}"), None),
        (
            (
                "duel",
                "--set",
                "walkers.duel.vary.param.length={from: 1, to: 5000, step: 1}",
                "--set",
                "walkers.duel.vary.param.percent={from: 1, to: 5000, step: 1}",
            ),
            "too-many-variants",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(
    project: Project, arguments: tuple[str, ...], code: str | None
) -> None:
    done = project.inside("walker", *arguments, "--json")
    assert done.code == 2
    error = done.document["error"]
    assert code in (None, error["code"])
    assert not (project.folder / "logs").exists()


def test_a_stored_comparison_is_shown_and_dumped_again(project: Project) -> None:
    project.inside("walker", "duel")
    files = kept(project)
    for ending in ("md", "json", "csv", "html"):
        done = project.inside("report", "show", "duel", "--kind", "walker", "--format", ending)
        assert done.stdout.rstrip("\n") == files[f"duel.{ending}"].decode().rstrip("\n")
    assert project.inside("report", "show", "last", "--kind", "walker", "--json").document == json.loads(
        files["duel.json"]
    )
    done = project.inside("report", "dump", "--kind", "walker", "--to", "out")
    assert done.code == 0
    beside = set((project.folder / "logs" / "walker").iterdir())
    assert project.inside("report", "dump", "duel", "--kind", "walker").code == 0
    assert set((project.folder / "logs" / "walker").iterdir()) == beside
    assert (project.folder / "logs" / "walker" / "duel" / "dump" / "duel.md").is_file()
    error = project.inside("report", "show", "last", "--json").document["error"]
    assert error["hint"] == "of a walker: `backtestkit report show last --kind walker`"
    names = {path.name for path in (project.folder / "out").iterdir()}
    assert {"duel.md", "duel.json", "duel__ranking.csv", "duel__heat_param.csv"} <= names
    assert project.inside("report", "show", "other", "--kind", "walker", "--json").document["error"]["code"] == (
        "no-comparison"
    )
    record = project.folder / "logs" / "walker" / "duel" / "contest.json"
    record.write_text(record.read_text()[:100])
    damaged = project.inside("report", "show", "duel", "--kind", "walker", "--json")
    assert (damaged.code, damaged.document["error"]["code"]) == (3, "damaged-comparison")


def test_chosen_columns_of_the_ranking_are_shown(project: Project) -> None:
    project.write(
        "configs/columns.yaml",
        'settings: {columns: {walker: [{key: value, label: Made}, {key: trades, label: "N"}]}}\n',
    )
    project.inside("walker", "duel")
    text = kept(project)["duel.md"].decode()
    head = next(line for line in text.splitlines() if line.startswith("| Strategy") and "Made" in line)
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["Strategy", "Made %", "N"]
    wrong = project.inside("walker", "duel", "--set", "settings.columns.walker=[{key: nothing}]", "--json")
    assert wrong.document["error"]["code"] == "unknown-column"


# ---- in Python


def heard_by(kit: Kit) -> list[Any]:
    heard: list[Any] = []
    kit.on(WalkerEvent, heard.append)
    return heard


def test_listeners_and_the_loop_are_told_the_same_in_order(project: Project) -> None:
    project.plugin("bad", FAILING)
    kit = Kit.load(
        project.folder / "configs", overrides=["walkers.duel.strategies=[cross, bad]", "walkers.duel.vary={}"]
    )
    heard = heard_by(kit)
    walker = kit.walker("duel", symbols=["A", "B"])
    events: list[Any] = list(walker)
    assert events == heard
    assert [type(event) for event in events] == [
        StrategyStarted,
        StrategyDone,
        WalkerProgress,
        StrategyStarted,
        StrategyFailed,
        WalkerProgress,
        WalkerDone,
    ]
    done, failed, last = events[1], events[4], events[6]
    result = walker.result()
    assert (done.strategy, done.contestant, done.symbols, done.metric) == ("cross", "cross", ("A", "B"), "pnl_percent")
    assert done.metric_value == done.best_metric == done.stats["pnl_percent"] == result.stats["pnl_percent"]
    assert (done.best_strategy, done.tested_strategies, done.total_strategies) == ("cross", 1, 2)
    assert (failed.strategy, failed.code) == ("bad", "strategy-raised")
    assert [event.percent for event in events if isinstance(event, WalkerProgress)] == [50.0, 100.0]
    assert (last.best_strategy, last.tested_strategies, last.total_strategies) == ("cross", 1, 2)
    assert last.best_stats == result.stats
    assert (result.status, result.failed[0].contestant.name) == ("complete", "bad")


def test_callbacks_of_a_walker_are_told(project: Project) -> None:
    project.plugin("bad", FAILING)
    project.write("strategies/hooks.py", "def hook(event):\n    print('TOLD', event.kind)\n")
    keys = ("on_strategy_start", "on_strategy_complete", "on_strategy_error", "on_complete")
    hooks = ", ".join(f'{key}: "strategies/hooks.py:hook"' for key in keys)
    done = project.inside(
        "walker",
        "duel",
        "--set",
        f"walkers.duel.callbacks={{{hooks}}}",
        "--set",
        "walkers.duel.strategies=[bad, param]",
    )
    kinds = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("TOLD")]
    start_done = ["strategy_started", "strategy_done"]
    assert kinds == ["strategy_started", "strategy_failed", *(4 * start_done), "walker_done"]


def test_a_stop_acts_before_the_next_contestant(project: Project) -> None:
    kit = Kit.load(project.folder / "configs")
    kit.on(StrategyDone, lambda event: kit.stop("cross", "BTCUSDT"), where=lambda event: event.tested_strategies == 2)
    result = kit.walker("duel").run()
    assert (result.status, len(result.ranking)) == ("stopped", 2)
    assert [row.outcome.contestant.name for row in result.ranking] != []
    assert result.report("md").count("not tested") == 1


def test_it_runs_in_the_background(project: Project) -> None:
    kit = Kit.load(project.folder / "configs")
    job = kit.walker("duel").background()
    assert kit.jobs() == (job,)
    result = job.result(timeout=60)
    assert (job.status, job.progress, job.stats) == ("done", 100.0, result.stats)
    assert len(result.ranking) == 6
    cancelled = kit.walker("duel").background()
    cancelled.cancel()
    with pytest.raises(UsageError):
        cancelled.result(timeout=60)


def test_functions_of_the_program_take_part_and_nothing_is_kept_of_them(project: Project) -> None:
    def never(market: Any) -> None:
        return None

    kit = Kit.load(project.folder / "configs")
    kit.add_strategy(name="given", interval="1h", use=never)
    kit.override_walker("duel", strategies=["given", "cross"], vary=None)
    result = kit.walker("duel", jobs=2, resume=True).run()
    assert {row.outcome.contestant.name for row in result.ranking} == {"given", "cross"}
    assert not (project.folder / "logs").exists()
    result.dump()
    assert (project.folder / "logs" / "walker" / "duel.md").is_file()


def test_an_error_of_the_candles_ends_it(project: Project) -> None:
    kit = Kit.load(project.folder / "configs", overrides=["walkers.duel.exchange=files"])
    failures: list[Any] = []
    kit.on(RunFailed, failures.append)
    with pytest.raises(BacktestkitError) as caught:
        kit.walker("duel").run()
    assert caught.value.exit_code == 3
    assert [event.code for event in failures] == [caught.value.code]


def test_every_contestant_counts_as_a_trial_for_ever_and_once(project: Project) -> None:
    told(project, "duel")
    first = ledger(project).counted()
    assert first.trials == len(NAMES)
    shutil.rmtree(project.folder / "logs")
    told(project, "duel", "--metric", "trades")
    assert ledger(project).counted() == first


def ledger(project: Project) -> TrialLedger:
    within = TimeRange(START_MS, START_MS + 60_000)
    folder = project.folder / "state" / "trials"
    return TrialLedger(folder=folder, exchange="sample", symbols=("BTCUSDT",), range=within)
