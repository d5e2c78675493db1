"""A shown config names every origin and no secret, and writes to YAML that loads equal."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from backtestkit_cli.config.fields import Schema
from backtestkit_cli.config.merge import Config, load
from backtestkit_cli.config.schema import SECTIONS
from backtestkit_cli.config.show import Row, effective, json_schema, to_yaml

EVERYTHING = Path(__file__).parents[2] / "data" / "config" / "everything.yaml"
SMALL = "settings: {balance: 1e3, defaults: {symbols: ['010', yes]}}\n"
SMALL += "frames: [{name: '1', start: 2023-01-01, end: 2023-01-02}]\n"
EMPTY_SETTINGS = "settings: {}\n"


def rows(config: Config) -> dict[str, Row]:
    return {row.path: row for row in effective(config)}


def test_every_value_names_the_line_the_override_or_the_default_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("settings:\n  balance: 5\nexchanges:\n  - {name: toy, use: sample}\n", encoding="utf-8")
    found = rows(load([file], ["settings.costs.fee_percent=0.05"]))
    assert found["settings.balance"] == Row(path="settings.balance", value=5.0, origin=f"{file}:2")
    assert found["settings.costs.fee_percent"] == Row(path="settings.costs.fee_percent", value=0.05, origin="--set")
    assert found["settings.costs.slippage_percent"].origin == "default"
    assert found["settings.limits.signal_seconds"].value == 180
    assert found["exchanges.toy.use"].origin == f"{file}:4"
    assert found["exchanges.toy.seed"] == Row(path="exchanges.toy.seed", value=7, origin="default")


def test_secrets_and_values_of_the_environment_are_masked(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "settings: {notify: [{url: 'https://example.org/canary'}], state: {use: redis, url: 'redis://:canary@h'}}\n"
        "exchanges:\n"
        "  - {name: a, use: ccxt, id: kraken, api_key: canary, secret: canary, base_url: '${BASE}'}\n"
        "  - {name: b, use: 'x.py:y', params: {api_token: canary, bot_password: canary, plain: '${canary}'}}\n",
        encoding="utf-8",
    )
    found = rows(load([file]))
    assert not [row for row in found.values() if "canary" in str(row.value)]
    assert found["exchanges.a.base_url"].value == "***"
    assert found["exchanges.b.params.api_token"].value == "***"
    assert found["exchanges.a.id"].value == "kraken"


@pytest.mark.parametrize("text", [None, SMALL, EMPTY_SETTINGS], ids=["everything", "small", "empty"])
def test_a_config_written_and_loaded_again_is_equal(tmp_path: Path, text: str | None) -> None:
    first = tmp_path / "first.yaml"
    first.write_text(text or EVERYTHING.read_text(encoding="utf-8"), encoding="utf-8")
    config = load([first])
    second = tmp_path / "second.yaml"
    second.write_text(to_yaml(config), encoding="utf-8")
    assert load([second]) == config
    assert replace(config, project=Path("/elsewhere")) != config


def test_an_override_survives_writing_and_loading(tmp_path: Path) -> None:
    config = load([EVERYTHING], ["settings.balance=77"])
    file = tmp_path / "a.yaml"
    file.write_text(to_yaml(config), encoding="utf-8")
    assert load([file]).settings.balance == 77


def test_the_editor_schema_knows_every_section_and_forbids_others() -> None:
    schema = json_schema()
    assert tuple(schema["properties"]) == SECTIONS
    assert schema["additionalProperties"] is False
    assert json.loads(json.dumps(schema)) == schema
    for name, definition in schema["$defs"].items():
        if definition["type"] == "object":
            assert definition["additionalProperties"] is False, name
    assert "take_profit" in schema["$defs"]["RulesSchema"]["required"]
    assert {model.__name__ for model in Schema.__subclasses__()} - set(schema["$defs"]) == {"NamedSchema"}


def test_every_reference_of_the_editor_schema_resolves() -> None:
    text = json.dumps(json_schema())
    for name in json_schema()["$defs"]:
        assert f"#/$defs/{name}" in text
    assert text.count("#/$defs/") >= len(json_schema()["$defs"])
