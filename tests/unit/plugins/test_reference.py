"""From `use:` to a callable."""

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from backtestkit_cli.errors import ConfigError, Problem, StrategyError
from backtestkit_cli.plugins.ports import PluginKind
from backtestkit_cli.plugins.reference import Plugin, Reference, form_of, resolve
from backtestkit_cli.plugins.registry import Registry

PLUGINS = Path(__file__).parents[2] / "data" / "plugins"
ROOT = Path(__file__).parents[3]


def nothing_installed(group: str) -> tuple[EntryPoint, ...]:
    return ()


@pytest.fixture
def registry() -> Registry:
    return Registry(installed=nothing_installed)


class Project:
    """A folder of plugin files."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self.folder = folder
        self.registry = registry

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def plugin(self, text: str, kind: PluginKind = "strategy") -> Plugin:
        return resolve(text, kind, self.folder, self.registry)

    def refusal(self, text: str, kind: PluginKind = "strategy") -> Problem:
        with pytest.raises(ConfigError) as caught:
            self.plugin(text, kind)
        return caught.value.problems[0]

    def raised(self, source: str) -> Problem:
        self.write("bad.py", source)
        with pytest.raises(StrategyError) as caught:
            self.plugin("bad.py:buy")
        assert self.folder / "bad.py" not in self.registry.files
        return caught.value.problems[0]


@pytest.fixture
def project(tmp_path: Path, registry: Registry) -> Iterator[Project]:
    before = set(sys.modules), list(sys.path)
    yield Project(tmp_path, registry)
    for name in set(sys.modules) - before[0]:
        if name.startswith("backtestkit_plugin_"):
            del sys.modules[name]
    assert sys.path == before[1]


def test_a_file_counts_from_the_project_folder(registry: Registry) -> None:
    plugin = resolve("plugins/momentum.py:momentum", "strategy", PLUGINS.parent, registry)
    assert plugin.reference == Reference(text="plugins/momentum.py:momentum", kind="strategy")
    assert plugin.file == str(PLUGINS / "momentum.py")
    assert plugin.line == 9
    assert plugin.form == "decision"
    assert list(plugin.parameters.parameters) == ["window", "threshold", "note"]


def test_the_first_parameter_tells_the_form(registry: Registry) -> None:
    assert resolve("momentum.py:crossing", "strategy", PLUGINS, registry).form == "vector"


@pytest.mark.parametrize(
    ("signature", "form"),
    [
        ("candles", "vector"),
        ("frame: 'pl.LazyFrame'", "vector"),
        ("market", "decision"),
        ("view: 'Market'", "decision"),
        ("market, /, window=3", "decision"),
    ],
)
def test_forms_by_name_or_type(signature: str, form: str) -> None:
    scope: dict[str, Callable[..., object]] = {}
    exec(f"def buy({signature}): pass", scope)
    assert form_of(scope["buy"]) == form


@pytest.mark.parametrize("signature", ["", "window", "*, market", "*market", "**market"])
def test_neither_form_is_explained_with_both(signature: str, project: Project) -> None:
    project.write("a.py", f"def buy({signature}): pass")
    problem = project.refusal("a.py:buy")
    assert problem.code == "bad-strategy"
    assert problem.expected is not None
    assert "market" in problem.expected
    assert "candles" in problem.expected
    assert problem.where is not None
    assert problem.where.line == 1


def test_two_files_of_one_name_live_side_by_side(project: Project) -> None:
    for folder in ("one", "two"):
        project.write(f"{folder}/momentum.py", f"def buy(market): return {folder!r}")
    first, second = project.plugin("one/momentum.py:buy"), project.plugin("two/momentum.py:buy")
    assert (first.function(None), second.function(None)) == ("one", "two")


def test_a_file_is_run_once_for_a_registry_and_again_for_the_next(project: Project) -> None:
    project.write("a.py", "seen = []\ndef buy(market): return seen\ndef sell(market): return seen")
    buy = project.plugin("a.py:buy").function
    first = buy(None)
    assert project.plugin("./a.py:sell").function(None) is first
    project.write("a.py", "seen = [1]\ndef buy(market): return seen\ndef sell(market): return seen")
    assert resolve("a.py:buy", "strategy", project.folder, Registry()).function(None) == [1]
    assert sys.modules[buy.__module__].__dict__["buy"] is buy
    assert not list(project.folder.rglob("*.pyc"))


def test_what_a_file_registers_belongs_to_the_project_that_loads_it(project: Project) -> None:
    project.write(
        "a.py",
        """
        from backtestkit_cli.plugins.registry import strategy

        @strategy("also-me")
        def buy(market): return 1
        """,
    )
    parent = project.registry
    project.registry = parent.child()
    project.plugin("a.py:buy")
    assert project.plugin("also-me").function(None) == 1
    assert parent.names("strategy") == ()


def test_an_installed_module_can_be_named(project: Project) -> None:
    assert project.plugin("fractions:Fraction", "exchange").function(1, 2) == 0.5
    assert project.plugin("fractions:Fraction.from_float", "exchange").function(0.5) == 0.5


def test_an_entry_point_uses_the_same_door(tmp_path: Path) -> None:
    entry = EntryPoint("acme", "fractions:Fraction", "backtestkit.exchanges")
    bare = EntryPoint("bare", "fractions", "backtestkit.exchanges")
    registry = Registry(installed=lambda group: [entry, bare] if group == "backtestkit.exchanges" else [])
    assert resolve("acme", "exchange", tmp_path, registry).function(1, 2) == 0.5
    with pytest.raises(ConfigError, match="names no function"):
        resolve("bare", "exchange", tmp_path, registry)


def test_a_broken_entry_point_is_an_error_for_who_asks(tmp_path: Path) -> None:
    entry = EntryPoint("acme", "no_such_package.signals:buy", "backtestkit.strategies")
    registry = Registry(installed=lambda group: [entry])
    with pytest.raises(ConfigError) as caught:
        resolve("acme", "strategy", tmp_path, registry)
    assert "no installed module no_such_package" in caught.value.problems[0].what


def test_an_unknown_name_is_answered_with_the_nearest(project: Project) -> None:
    project.registry.register("strategy", "momentum", len, project.plugin("os:getcwd", "exchange").place)
    problem = project.refusal("momentom")
    assert problem.code == "plugin-not-found"
    assert problem.hint == "did you mean momentum? known here: momentum"
    project.write("a.py", "def momentum(market): pass")
    assert "did you mean momentum?" in str(project.refusal("a.py:momentom").hint)


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("no/such:buy", "plugin-not-found", "does not exist"),
        ("missing.py:buy", "plugin-not-found", "does not exist"),
        ("folder.py:buy", "plugin-not-found", "is no file"),
        ("nul\0.py:buy", "plugin-not-found", "nul"),
        ("x" * 5000 + ".py:buy", "plugin-not-found", "cannot be looked up"),
        ("loop.py:buy", "plugin-not-found", "loop.py"),
        ("a.py", "bad-reference", "which strategy is meant"),
        ("a.py:", "bad-reference", "which strategy is meant"),
        ("a.py:buy()", "bad-reference", "which strategy is meant"),
        (":buy", "bad-reference", "which strategy is meant"),
        ("a-b:buy", "bad-reference", "which strategy is meant"),
        ("..a:buy", "bad-reference", "which strategy is meant"),
        ("no_such_module:buy", "plugin-not-found", "no installed module no_such_module"),
        ("json.no_such:buy", "plugin-not-found", "no installed module json.no_such"),
        ("json:no_such", "plugin-not-found", "has no no_such"),
        ("a.py:number", "not-callable", "is no function"),
        ("a.py:Thing", "bad-plugin", "is a class"),
        ("", "plugin-not-found", "there is no strategy"),
    ],
)
def test_what_cannot_be_found_is_refused(text: str, code: str, says: str, project: Project) -> None:
    project.write("a.py", "number = 3\nclass Thing: pass\ndef buy(market): pass")
    (project.folder / "folder.py").mkdir()
    (project.folder / "loop.py").symlink_to("loop.py")
    problem = project.refusal(text)
    assert problem.code == code
    assert says in problem.what


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("async def buy(market): pass", "an async function"),
        ("async def buy(market): yield", "an async generator"),
        ("def buy(market): yield", "a generator"),
        ("from functools import partial\nasync def f(market): pass\nbuy = partial(f)", "an async function"),
        ("class C:\n    def __call__(self, market): yield\nbuy = C()", "a generator"),
    ],
)
def test_async_functions_and_generators_are_refused(source: str, word: str, project: Project) -> None:
    project.write("a.py", source)
    problem = project.refusal("a.py:buy")
    assert problem.code == "bad-plugin"
    assert word in problem.what


def test_a_callable_object_is_a_plugin(project: Project) -> None:
    project.write("a.py", "class C:\n    def __call__(self, market, window: int = 3): return window\nbuy = C()")
    plugin = project.plugin("a.py:buy")
    assert (plugin.line, plugin.bind({"window": 4})(None)) == (1, 4)


def test_a_partial_is_a_plugin_at_the_place_of_its_function(project: Project) -> None:
    project.write(
        "a.py", "from functools import partial\ndef f(market, window): return window\nbuy = partial(f, window=3)"
    )
    plugin = project.plugin("a.py:buy")
    assert (plugin.line, plugin.bind({})(None)) == (2, 3)


@pytest.mark.parametrize(
    ("source", "line", "says"),
    [
        ("import os\n1 / 0\n", 2, "ZeroDivisionError: division by zero"),
        ("def f():\n    raise ValueError('a\\nb')\nf()", 2, "ValueError: a b"),
        ("raise SystemExit(0)", 1, "SystemExit"),
        ("import sys\nsys.exit('bye')", 2, "SystemExit: bye"),
        ("class Odd(BaseException):\n    def __str__(self): return 1 / 0\nraise Odd", 3, "Odd"),
        ("raise GeneratorExit", 1, "GeneratorExit"),
        ("import no_such_library", 1, "ModuleNotFoundError"),
        ("from . import sibling", 1, "ImportError"),
        ("import json\njson.loads('{')", 2, "JSONDecodeError"),
        ("x = 1\ndef buy(market:\n", 2, "SyntaxError"),
        ("x = 1\n\0", 1, "SyntaxError"),
        ("def f(): f()\nf()", 1, "RecursionError"),
        ("(" * 5000, 1, "SyntaxError"),
    ],
)
def test_code_that_raises_while_it_is_loaded_is_told_with_its_line(
    source: str, line: int, says: str, project: Project
) -> None:
    known = set(sys.modules)
    problem = project.raised(source)
    assert problem.code == "plugin-raised"
    assert says in problem.what
    assert "\n" not in problem.what
    assert problem.where is not None
    assert problem.where.file == str(project.folder / "bad.py")
    if "\0" not in source:
        assert problem.where.line == line
    assert not [name for name in sys.modules if "bad" in name and name not in known]


def test_ctrl_c_while_a_plugin_loads_passes(project: Project) -> None:
    project.write("a.py", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        project.plugin("a.py:buy")


def test_a_file_that_raised_can_be_loaded_once_it_is_right(project: Project) -> None:
    register = "from backtestkit_cli.plugins.registry import strategy\n"
    project.raised(f"{register}@strategy('x')\ndef buy(market): pass\n1 / 0")
    project.write("bad.py", f"{register}@strategy('x')\ndef buy(market): return 5")
    assert project.plugin("bad.py:buy").function(None) == 5


def test_an_installed_module_that_raises_is_told_with_its_line(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = project.write("library/acme_signals/inner.py", "x = 1\nx.nothing")
    project.write("library/acme_signals/__init__.py", "from acme_signals import inner")
    needs = project.write("library/acme_needs.py", "import no_such_library")
    monkeypatch.syspath_prepend(project.folder / "library")
    for text, path, line in (("acme_signals:buy", broken, 2), ("acme_needs:buy", needs, 1)):
        with pytest.raises(StrategyError) as caught:
            project.plugin(text)
        where = caught.value.problems[0].where
        assert where is not None
        assert (where.file, where.line) == (str(path), line)
    monkeypatch.undo()


def test_a_sibling_is_not_imported_and_the_message_says_so(project: Project) -> None:
    project.write("averages.py", "open('imported', 'w')")
    problem = project.raised("import averages\ndef buy(market): pass")
    assert problem.hint is not None
    assert "averages.py lies beside the plugin" in problem.hint


def test_hostile_neighbours_are_not_run(tmp_path: Path) -> None:
    """In a process of its own: nothing is loaded there yet."""
    for name in ("polars", "yaml", "numpy", "pydantic", "typer", "json", "difflib", "momentum"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'trap')!r}, 'w').close()\n")
    (tmp_path / "signals.py").write_text((PLUGINS / "momentum.py").read_text())
    code = """
from pathlib import Path
from backtestkit_cli.plugins.reference import resolve
from backtestkit_cli.plugins.registry import ROOT
plugin = resolve("signals.py:crossing", "strategy", Path.cwd(), ROOT.child())
plugin.bind({"fast": 3})
import polars
print(polars.__file__)
"""
    launch = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"
    ended = subprocess.run(
        [sys.executable, "-P", "-c", launch], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    assert str(tmp_path) not in ended.stdout
    assert not (tmp_path / "trap").exists()
    assert not (tmp_path / "__pycache__").exists()
