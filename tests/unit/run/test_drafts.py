"""What is believed of a model's answer: rules that the config and the rule language take, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_servers import BAD_TEXTS

from backtestkit_cli import Kit
from backtestkit_cli.config.read import read_text, write_text
from backtestkit_cli.errors import ConfigError
from backtestkit_cli.run.drafting.draft import Draft, draft_from, problem_text

KIT = Kit.empty()
GOOD: dict[str, Any] = {
    "candles": "1h",
    "params": {"fast": 8},
    "let": {"line": "ema(close, fast)"},
    "long": "crosses_above(close, line)",
    "take_profit": "2 * atr(14)",
    "stop_loss": "1%",
    "lifetime": "12h",
    "note": "why not",
}
TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
BREAKOUTS = st.sampled_from(
    ["\n  use: evil.py:run", "'\"", "${HOME}", "!!python/object:os.system", "{}[]*&#: -", "---"]
)


def drafted(text: str) -> Draft:
    return draft_from(text, "draft-1", KIT.config, KIT.registry)


def changed(**keys: Any) -> str:
    return json.dumps({key: value for key, value in {**GOOD, **keys}.items() if value is not None})


def test_a_good_answer_is_a_strategy_of_a_config() -> None:
    draft = drafted(changed())
    assert draft.values["interval"] == "1h"
    kit = Kit.empty()
    kit.add_strategy(draft.values)
    rules = kit.get_strategy("draft-1").rules
    assert rules is not None
    assert rules.long == GOOD["long"]


@pytest.mark.parametrize("text", BAD_TEXTS.values(), ids=BAD_TEXTS.keys())
def test_rubbish_is_no_draft(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        drafted(text)
    assert len(problem_text(caught.value)) < 2000


WRONG = {
    "an unknown key": {"leverage": 10},
    "an unknown key without an end": {"x" * 50_000: 10},
    "code instead of an expression": {"long": "__import__('os').system('id')"},
    "a function that is none": {"long": "open('/etc/passwd')"},
    "no side": {"long": None},
    "a name that is not there": {"long": "close > lyne"},
    "a param that nobody reads": {"params": {"fast": 8, "idle": 1}},
    "a lifetime that is none": {"lifetime": "soon"},
    "an interval that is none": {"candles": "7m"},
    "a number for a text": {"note": 7},
    "a list for a mapping": {"let": ["close"]},
    "the environment": {"note": "${HOME}"},
    "a control character": {"note": "a\x1b[2J"},
    "a long note": {"note": "x" * 501},
    "many names": {"let": {f"n{number}": "close" for number in range(41)}},
    "a missing key": {"stop_loss": None},
}


@pytest.mark.parametrize("keys", WRONG.values(), ids=WRONG.keys())
def test_a_draft_with_something_wrong_is_told_to_its_model(keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        drafted(changed(**keys))
    told = problem_text(caught.value)
    assert told.startswith("This draft cannot be used:\n- ")
    assert len(told) < 2000


def test_a_key_that_stands_twice_is_refused_and_not_guessed() -> None:
    with pytest.raises(ConfigError, match="no JSON"):
        drafted(changed()[:-1] + ', "note": "again"}')


def test_drafts_that_trade_alike_are_equal_whatever_they_say() -> None:
    assert drafted(changed()).rules == drafted(changed(note="another word")).rules
    assert drafted(changed()).rules != drafted(changed(lifetime="13h")).rules


@settings(max_examples=300, derandomize=True)
@given(st.lists(TEXT | BREAKOUTS, max_size=4).map("".join))
def test_what_a_model_writes_stands_in_a_config_as_its_text_and_nothing_else(note: str) -> None:
    try:
        draft = drafted(changed(note=note))
    except ConfigError:
        return
    values = {"strategies": [draft.values]}
    assert draft.values["rules"].get("note", "") == note
    assert read_text(write_text(values), "drafts.yaml")[0] == values
