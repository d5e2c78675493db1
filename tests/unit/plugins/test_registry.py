"""Names of plugins: who registers what, and who sees it."""

from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint

import pytest

from backtestkit_cli.errors import ConfigError, Source
from backtestkit_cli.plugins import registry as names
from backtestkit_cli.plugins.builtin import BUILT_IN
from backtestkit_cli.plugins.ports import PluginKind
from backtestkit_cli.plugins.registry import GROUPS, ROOT, Registry, received_by

HERE = Source(file="a.py", line=1)
THERE = Source(file="b.py", line=2)


def buy() -> None:
    pass


def sell() -> None:
    pass


def installed(*entries: tuple[str, str]) -> Registry:
    def offered(group: str) -> Iterable[EntryPoint]:
        return [EntryPoint(name, value, group) for name, value in entries if group == "backtestkit.strategies"]

    return Registry(installed=offered)


@pytest.fixture
def empty() -> Iterator[Registry]:
    with received_by(registry := installed()):
        yield registry


@pytest.mark.parametrize("kind", GROUPS)
def test_a_decorator_registers_and_returns_the_function_unchanged(kind: PluginKind, empty: Registry) -> None:
    assert getattr(names, kind)("momentum")(buy) is buy
    found = empty.look_up(kind, "momentum")
    assert found is not None
    assert (found.target, found.where) == (buy, Source(file=__file__, line=buy.__code__.co_firstlineno))
    assert [other for other in GROUPS if other != kind and empty.look_up(other, "momentum")] == []


def test_a_decorator_that_runs_for_no_project_registers_for_the_process() -> None:
    assert ROOT.look_up("sizing", "of-this-test") is None
    names.sizing("of-this-test")(buy)
    assert ROOT.child().look_up("sizing", "of-this-test") is not None


def test_a_name_taken_is_refused_with_both_places() -> None:
    registry = installed()
    registry.register("strategy", "momentum", buy, HERE)
    with pytest.raises(ConfigError) as caught:
        registry.child().register("strategy", "momentum", sell, THERE)
    problem = caught.value.problems[0]
    assert problem.code == "duplicate-name"
    assert "a.py:1" in problem.what
    assert "b.py:2" in problem.what


def test_two_functions_without_a_place_are_two() -> None:
    registry = installed()
    registry.register("strategy", "momentum", len, Source())
    with pytest.raises(ConfigError):
        registry.register("strategy", "momentum", abs, Source())


def test_the_same_line_may_register_again() -> None:
    registry = installed()
    registry.register("strategy", "momentum", buy, HERE)
    registry.register("strategy", "momentum", sell, HERE)
    found = registry.look_up("strategy", "momentum")
    assert found is not None
    assert found.target is sell


def test_a_child_sees_its_parent_and_keeps_what_is_its_own() -> None:
    parent = installed()
    child, other = parent.child(), parent.child()
    child.register("strategy", "mine", buy, HERE)
    parent.register("strategy", "shared", sell, THERE)
    assert child.names("strategy") == ("mine", "shared")
    assert parent.names("strategy") == other.names("strategy") == ("shared",)
    other.register("strategy", "mine", sell, THERE)


@pytest.mark.parametrize("name", ["", "a:b", "a/b", ".hidden", "x" * 65, "ü", "a\n"])
def test_what_no_reference_could_say_is_no_name(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name"):
        installed().register("strategy", name, buy, HERE)


def test_an_entry_point_is_found_without_importing_it() -> None:
    registry = installed(("acme", "no_such_package.signals:buy [extra]"))
    found = registry.child().look_up("strategy", "acme")
    assert found is not None
    assert found.target == "no_such_package.signals:buy"
    assert registry.names("strategy") == ("acme",)
    assert registry.look_up("exchange", "acme") is None


def test_a_registered_name_hides_an_entry_point() -> None:
    registry = installed(("acme", "no_such_package:buy"))
    registry.register("strategy", "acme", buy, HERE)
    found = registry.look_up("strategy", "acme")
    assert found is not None
    assert found.target is buy


def test_entry_points_are_not_read_for_a_name_that_is_known() -> None:
    def broken(group: str) -> Iterable[EntryPoint]:
        raise AssertionError(group)

    registry = Registry(installed=broken)
    registry.register("strategy", "momentum", buy, HERE)
    assert registry.look_up("strategy", "momentum") is not None


def test_two_packages_that_offer_one_name_trouble_only_who_asks_for_it() -> None:
    registry = installed(("acme", "one:buy"), ("acme", "two:buy"), ("fine", "three:buy"))
    assert registry.look_up("strategy", "fine") is not None
    with pytest.raises(ConfigError) as caught:
        registry.look_up("strategy", "acme")
    assert "one:buy" in caught.value.problems[0].what
    assert "two:buy" in caught.value.problems[0].what


def test_every_built_in_plugin_is_a_text_in_the_root() -> None:
    for kind, entries in BUILT_IN.items():
        for name, text in entries.items():
            found = ROOT.look_up(kind, name)
            assert found is not None
            assert found.target == text
