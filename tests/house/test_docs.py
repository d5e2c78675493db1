"""The documents are true: generated tables are current, blocks load, commands run, everything is documented.

`UPDATE_GOLDEN=1 pytest tests/house/test_docs.py` rewrites what is generated.
"""

import importlib.util
import inspect
import os
import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from shared import SHARED, needs_shared

import backtestkit_cli
from backtestkit_cli import Kit
from backtestkit_cli.config import schema, settings
from backtestkit_cli.config.fields import Schema

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGE = Path(backtestkit_cli.__file__).parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
WALKED = [ROOT / "README.md", DOCS / "tutorial.md", DOCS / "how-to.md"]
REFERENCE = DOCS / "reference.md"
PART = re.compile(r"(<!-- generated: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
LINK = re.compile(r"\[[^\]\n]+\]\(([^)\s]+)\)")


@cache
def generator(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / "generate" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tables, codes, states, walkthrough = map(generator, ("tables", "codes", "states", "walkthrough"))

PARTS: dict[str, Callable[[], str]] = {
    "commands": tables.commands,
    "config keys": tables.keys,
    "rule columns": tables.columns,
    "rule functions": tables.functions,
    "metrics": tables.all_metrics,
    "original figures": tables.original,
    "funnel": tables.funnel,
    "reasons": tables.reasons,
    "draft rules": tables.draft_rules,
    "fill policies": tables.policies,
    "risk names": tables.risk_names,
    "exit codes": tables.exit_codes,
    "constants": tables.constants,
    "original names": tables.original_names,
    "error codes": lambda: str(tables.explained("errors", codes.problem_codes(PACKAGE), ("Code", "Meaning"))),
    "findings": lambda: str(tables.explained("findings", codes.finding_codes(PACKAGE), ("Code", "Meaning"))),
    "check findings": lambda: str(tables.explained("checks", codes.remark_codes(PACKAGE), ("Code", "Meaning"))),
    "transitions": states.transitions,
    "diagram": states.diagram,
}


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def held(page: Path, fresh: str) -> None:
    """Compare a page with what it should be; rewrite it when that is asked for."""
    if os.environ.get("UPDATE_GOLDEN") == "1":
        page.write_text(fresh, encoding="utf-8", newline="\n")
    assert text_of(page) == fresh


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_generated_parts_are_current(page: Path) -> None:
    held(page, PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n\n{part[3]}", text_of(page)))


def test_every_generated_part_is_shown_somewhere() -> None:
    assert {part for page in PAGES for _, part, _ in PART.findall(text_of(page))} == set(PARTS)


@pytest.mark.parametrize("page", WALKED, ids=name_of)
def test_commands_of_a_page_run_and_print_what_is_shown(page: Path, tmp_path: Path) -> None:
    walk = walkthrough.walk(text_of(page), tmp_path)
    assert walk.outputs
    assert {command: (code, walk.outputs[command]) for command, code in walk.surprises.items()} == {}
    held(page, walk.page)


@pytest.mark.parametrize("page", WALKED, ids=name_of)
def test_every_block_of_a_walked_page_has_its_file(page: Path) -> None:
    blocks = [block for block in walkthrough.blocks(text_of(page)) if block.language in ("yaml", "python", "csv")]
    assert blocks
    assert [block.text for block in blocks if block.file is None] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_yaml_block_loads_as_config(page: Path, tmp_path: Path) -> None:
    for number, block in enumerate(walkthrough.blocks(text_of(page))):
        if block.language == "yaml":
            path = tmp_path / f"{number}.yaml"
            path.write_text(block.text, encoding="utf-8")
            Kit.load(path)


def shown_commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        text = text_of(page)
        lines = [
            line for block in walkthrough.blocks(text) if block.language == "sh" for line in block.text.splitlines()
        ]
        for line in [*lines, *re.findall(r"`(backtestkit [^`\n]*)`", text)]:
            if line.startswith("backtestkit "):
                yield f"{name_of(page)}: {line}", line


@pytest.mark.parametrize("line", [pytest.param(line, id=place) for place, line in shown_commands()])
def test_every_command_shown_exists_with_its_options(line: str) -> None:
    words = shlex.split(line, comments=True)
    known = dict(tables.all_commands())
    groups = {name.rsplit(" ", 1)[0] for name in known}
    name = next((" ".join(words[:length]) for length in (3, 2) if " ".join(words[:length]) in known), None)
    if name is None:
        assert " ".join(words[:2]) in groups or words[1].startswith("--"), line
        return
    options = {text for one in known[name].params for text in getattr(one, "opts", ())}
    given = {word.partition("=")[0] for word in words if word.startswith("-") and word not in ("-vv", "--help")}
    assert given <= options, line


def test_the_demo_target_runs_the_command_whose_output_is_shown() -> None:
    recipe = text_of(ROOT / "Makefile").partition("\ndemo:")[2].splitlines()[1]
    assert recipe.strip() == "$(BIN)/" + walkthrough.STANDS_FOR["make demo"]


def test_every_code_in_the_source_can_be_read() -> None:
    assert codes.unread_codes(PACKAGE) == set()


def test_every_state_and_input_is_driven() -> None:
    assert states.unknown_kinds() == set()


def test_every_command_option_and_key_is_in_the_reference() -> None:
    reference = text_of(REFERENCE)
    wanted = {f"### `{name}`" for name, _ in tables.all_commands()}
    for _, command in tables.all_commands():
        wanted |= {f"`{one.opts[0]}" for one in command.params if one.param_type_name == "option"}
    wanted |= {f"`{name}" for model in key_models() for name in model.model_fields}
    assert {one for one in wanted if one not in reference and one.replace("`", ".") not in reference} == set()


def key_models() -> list[type[Schema]]:
    found = [one for module in (schema, settings) for one in vars(module).values() if inspect.isclass(one)]
    return [one for one in found if issubclass(one, Schema) and "Undecided" not in one.__name__]


def test_limits_without_a_constant_of_the_original_are_these() -> None:
    assert tables.limits_without_constant() == {"max_wait_minutes"}


@needs_shared
def test_every_constant_of_the_original_has_its_key() -> None:
    known = set(re.findall(r"^\| (CC_\w+) \|", text_of(SHARED / "spec" / "semantics.md"), re.MULTILINE))
    assert set(tables.words("constants")) == known


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_link_leads_nowhere(page: Path) -> None:
    for target in LINK.findall(text_of(page)):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_a_path_of_somebody_elses_computer(page: Path) -> None:
    assert re.findall(r"(?<![\w.])/(?:work|home|root|tmp|Users)/\S*", text_of(page)) == []
