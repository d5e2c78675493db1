"""Entries and settings from Python: the same checks and messages as in a file, and changes that replace, not mutate."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from e2e.project import make_project

from backtestkit_cli import Kit, SignalDraft
from backtestkit_cli.config.edit import singular
from backtestkit_cli.config.merge import load
from backtestkit_cli.config.read import read_file
from backtestkit_cli.config.schema import KINDS
from backtestkit_cli.config.settings import Settings
from backtestkit_cli.errors import BacktestkitError, ConfigError, Problem, UsageError

DATA = Path(__file__).parents[2] / "data"
EVERYTHING = DATA / "config" / "everything.yaml"
FRAME = {"name": "day", "start": "2023-03-01", "end": "2023-03-02"}
HERE = Path(__file__)


def long(market: Any, *, percent: float = 1.0) -> SignalDraft:
    price = market.price
    return SignalDraft(
        position="long",
        price_take_profit=price * (1 + percent / 100),
        price_stop_loss=price * 0.99,
        lifetime_minutes=60,
    )


def small() -> Kit:
    kit = Kit.empty()
    kit.add_exchange(name="sample", use="sample")
    kit.add_frame(FRAME)
    kit.add_strategy(name="long", interval="1h", use=long)
    return kit


def problems(call: Callable[[], object]) -> list[Problem]:
    with pytest.raises(BacktestkitError) as caught:
        call()
    return list(caught.value.problems)


def refused(call: Callable[[], object]) -> Problem:
    (problem,) = problems(call)
    return problem


def words(some: list[Problem]) -> list[tuple[Any, ...]]:
    """What problems say, without their places."""
    return [(one.code, one.what, one.found, one.expected, one.hint) for one in some]


def line() -> int:
    """The line of the test that asks."""
    import inspect

    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_a_config_made_in_python_equals_the_one_of_a_file() -> None:
    values, _ = read_file(EVERYTHING, "everything.yaml")
    kit = Kit.empty(EVERYTHING.parent)
    kit.configure({key: one for key, one in values["settings"].items() if key != "defaults"})
    for kind in KINDS:
        for entry in values[kind]:
            kit.add(kind, entry)
    kit.configure(defaults=values["settings"]["defaults"])
    assert kit.config == load([EVERYTHING])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_added_got_changed_and_listed_under_its_own_names(kind: str) -> None:
    kit = Kit.load(EVERYTHING)
    one, before = singular(kind), kit.list(kind)
    first = before[0]
    assert getattr(kit, f"list_{kind}")() == before
    assert getattr(kit, f"get_{one}")(first.name) == kit.get(one, first.name) == first
    values = {**first.model_dump(mode="json", exclude_unset=True), "name": "another"}
    added = getattr(kit, f"add_{one}")(**values)
    assert added.name == "another"
    assert kit.list(kind) == (*before, added)
    changed = getattr(kit, f"override_{one}")("another", note="new words")
    assert changed == added.model_copy(update={"note": "new words"})
    assert kit.list(one) == (*before, changed)
    again = refused(lambda: kit.add(kind, values))
    assert (again.code, again.where and again.where.file) == ("name-twice", str(HERE))


def single_entries() -> list[Path]:
    """Broken files that say one thing, which can be said in Python as well."""
    found = []
    for path in sorted((DATA / "broken").glob("*.yaml")):
        try:
            values, _ = read_file(path, path.name)
        except ConfigError:
            continue
        if isinstance(values, dict) and len(values) == 1 and values.keys() <= {"settings", *KINDS}:
            (content,) = values.values()
            if isinstance(content, dict) if "settings" in values else isinstance(content, list) and len(content) == 1:
                found.append(path)
    return found


@pytest.mark.parametrize("path", single_entries(), ids=lambda path: path.stem)
def test_what_a_file_is_refused_for_python_is_refused_for_in_the_same_words(path: Path) -> None:
    ((section, content),) = read_file(path, path.name)[0].items()
    kit = Kit.empty()
    before = kit.config
    call = partial(kit.configure, content) if section == "settings" else partial(kit.add, section, content[0])
    from_code = problems(call)
    assert sorted(map(str, words(from_code))) == sorted(map(str, words(problems(lambda: load([path])))))
    assert {one.where.file for one in from_code if one.where} == {str(HERE)}
    assert kit.config is before


def test_most_broken_files_are_compared() -> None:
    assert len(single_entries()) > 60


def test_a_message_names_the_line_of_the_call_and_the_key() -> None:
    kit = small()
    problem, here = refused(lambda: kit.add_strategy(name="x", interval="1h", use=long, risk="calm")), line()
    assert problem.where is not None
    assert (problem.where.file, problem.where.line) == (str(HERE), here)
    assert problem.where.key == 'strategies[1] "x" › risk'
    assert problem.code == "unknown-name"


def test_a_change_is_refused_where_it_was_made_and_changes_nothing() -> None:
    kit = Kit.load(EVERYTHING)
    before = kit.config
    problem, here = refused(lambda: kit.override_strategy("band.2", rules={"lifetime": "soon"})), line()
    assert problem.where is not None
    assert (problem.where.file, problem.where.line, problem.code) == (str(HERE), here, "bad-duration")
    assert refused(lambda: kit.override_risk("strict", name="other")).code == "bad-override"
    assert refused(lambda: kit.override_risk("strct", note="a")).hint == "did you mean strict?"
    assert kit.config is before


def test_what_a_change_breaks_elsewhere_is_told_at_its_own_place() -> None:
    kit = Kit.load(EVERYTHING)
    found = problems(lambda: kit.configure(balance=None))
    assert {one.code for one in found} == {"balance-missing"}
    assert {one.where.file for one in found if one.where} == {str(EVERYTHING)}
    assert kit.settings.balance is not None


def test_what_a_change_replaced_has_no_place_any_more() -> None:
    kit = Kit.load(EVERYTHING, overrides=["settings.columns.backtest.0.label=Old"])
    problem = refused(lambda: kit.configure(columns={"backtest": [{"key": "pnl_percent", "label": ""}]}))
    assert problem.where is not None
    assert problem.where.file == str(HERE)


def test_mappings_are_merged_lists_replaced_and_none_takes_a_key_away() -> None:
    kit = Kit.load(EVERYTHING)
    before = kit.get_strategy("band.2")
    changed = kit.override_strategy("band.2", params={"length": 30}, risk=["loose"], note=None)
    assert changed.params == {**before.params, "length": 30}
    assert (changed.risk, changed.note) == (("loose",), None)
    assert kit.configure(costs={"fee_percent": 0.05}).costs.slippage_percent == before_costs(EVERYTHING)
    assert kit.override_exchange("toy", use="files", path="{symbol}.csv", seed=None).use == "files"


def before_costs(path: Path) -> float:
    return load([path]).settings.costs.slippage_percent


def test_what_was_given_can_change_afterwards_without_an_effect() -> None:
    kit, params = small(), {"percent": 2.0}
    kit.override_strategy("long", params=params)
    params["percent"] = -1.0
    assert kit.get_strategy("long").params == {"percent": 2.0}


def test_settings_are_checked_as_a_whole_and_stay_on_error() -> None:
    kit = Kit.empty()
    assert kit.settings == Settings()
    assert refused(lambda: kit.configure(costs={"fee_percent": 5})).code == "below-costs"
    assert kit.settings == Settings()
    kit.configure(costs={"fee_percent": 5}, limits={"min_take_profit_percent": 20})
    assert kit.settings.costs.fee_percent == 5


def test_values_of_python_stand_for_those_of_a_file() -> None:
    kit = Kit.empty()
    start = datetime(2023, 3, 1, tzinfo=UTC)
    assert kit.add_frame(name="a", start=start, end=start.replace(day=2).date()).start == 1677628800000
    assert kit.add_exchange(name="b", use="files", path=Path("data/{symbol}.csv")).use == "files"
    deep: dict[str, Any] = {}
    deep["deep"] = deep
    assert refused(lambda: kit.configure(deep)).code == "too-deep"
    assert refused(lambda: kit.add_frame(name="c\x1b[2J")).code == "bad-character"
    assert refused(lambda: kit.add_frame({3: 4})).code == "bad-key"
    assert refused(lambda: kit.add_frame([])).code == "wrong-type"
    assert refused(lambda: kit.add_frame({**FRAME, "name": print})).code == "wrong-type"


def test_a_kind_that_is_none_and_a_name_that_is_unknown_are_refused_with_what_there_is() -> None:
    kit = small()
    assert refused(lambda: kit.add("thing")).code == "unknown-kind"
    problem = refused(lambda: kit.get_frame("dya"))
    assert (problem.code, problem.expected, problem.hint) == ("unknown-name", "day", "did you mean day?")


def test_validate_names_everything_that_is_not_there() -> None:
    kit = small()
    kit.validate()
    kit.validate(strategies=["long"], frame="day")
    found = problems(lambda: kit.validate(strategy="lnog", frames=["day", "night"]))
    assert [one.what for one in found] == ["no lnog in strategies", "no night in frames"]
    assert found[0].where is not None
    assert found[0].where.file == str(HERE)
    with pytest.raises(UsageError):
        kit.validate(things=["a"])


def test_functions_stand_where_references_do() -> None:
    kit, heard, asked = small(), list[Any](), list[Any]()

    def check(question: Any) -> str | None:
        asked.append(question)
        return None

    kit.add_risk(name="calm", checks=[check, {"allow": "reward_risk > 0.5"}], callbacks={"on_allowed": heard.append})
    kit.override_strategy("long", risk="calm", params={"percent": 2.0}, callbacks={"on_close": heard.append})
    run = kit.backtest(symbols=["A", "B"], jobs=2).run()
    trades = sum(len(stream.result.trades) for stream in run.streams)
    assert trades > 10
    assert len(asked) == trades
    assert len(heard) == 2 * trades


def test_a_run_id_changes_with_the_code_of_a_function_and_with_what_it_closes_over() -> None:
    def made(percent: float) -> Callable[[Any], SignalDraft]:
        def strategy(market: Any) -> SignalDraft:
            return long(market, percent=percent)

        return strategy

    ids = []
    for use in (made(1.0), made(1.0), made(2.0), long, partial(long, percent=2.0)):
        kit = small()
        kit.override_strategy("long", use=use)
        ids.append(kit.backtest(symbols=["A"]).run().run_id)
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4


def test_two_functions_of_the_same_code_are_two_plugins() -> None:
    kit = Kit.empty()
    told: list[list[Any]] = [[], []]
    texts = {kit.registry.give("callback", one.append) for one in told}
    assert len(texts) == 2
    assert kit.registry.give("callback", told[0].append) in texts


def test_what_one_kit_was_given_another_does_not_know() -> None:
    text, other = small().get_strategy("long").use, small()
    lonely = Kit.empty()
    lonely.add_exchange(name="sample", use="sample")
    lonely.add_frame(FRAME)
    lonely.add_strategy(name="long", interval="1h", use=text)
    problem = refused(lambda: lonely.backtest(symbols=["A"]).run())
    assert problem.code == "plugin-not-found"
    assert "was given by a Python program" in problem.what
    assert other.registry.has_given
    assert not lonely.registry.has_given


def test_a_run_that_has_begun_keeps_the_config_it_began_with() -> None:
    kit = small()
    job = kit.backtest(symbols=["A"])
    kit.override_strategy("long", params={"percent": 3.0})
    assert job.config.strategies["long"].params == {}
    assert kit.backtest(symbols=["A"]).run().run_id != job.run().run_id


@pytest.mark.parametrize(
    ("strategies", "options", "text"),
    [
        ((["cross"],), {}, "['cross'] is no name of a strategy"),
        ((3,), {}, "3 is no name of a strategy"),
        (("cross",), {"symbols": "BTCUSDT"}, "symbols is the text 'BTCUSDT', not a list of symbols"),
        (("cross",), {"symbols": 3}, "symbols is 3, not a list of symbols"),
        (("cross",), {"symbols": [b"X"]}, "b'X' is no symbol"),
        (("cross",), {"frame": 3}, "frame is 3, not a text"),
        (("cross",), {"exchange": ["sample"]}, "exchange is ['sample'], not a text"),
        (("cross",), {"range": ("2023-03-01", "2023-03-02")}, "range is ('2023-03-01', '2023-03-02'), not a text"),
        (("cross",), {"jobs": "2"}, "jobs is '2'"),
        (("cross",), {"jobs": 0}, "jobs is 0"),
    ],
)
def test_a_backtest_asked_for_with_the_wrong_kind_of_value_is_refused(
    strategies: tuple[Any, ...], options: dict[str, Any], text: str, tmp_path: Path
) -> None:
    kit = Kit.load(make_project(tmp_path).folder / "configs")
    with pytest.raises(UsageError) as refused:
        kit.backtest(*strategies, **options)
    assert str(refused.value) == text


def test_a_list_of_strategies_is_answered_with_how_to_name_them(tmp_path: Path) -> None:
    kit = Kit.load(make_project(tmp_path).folder / "configs")
    with pytest.raises(UsageError) as refused:
        kit.backtest(["cross", "asked"])  # type: ignore[arg-type]
    assert refused.value.problems[0].hint == "names stand one by one: backtest('cross', 'asked')"
