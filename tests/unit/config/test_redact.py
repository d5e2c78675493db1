"""A registered secret leaves the program in no spelling."""

import json
import pickle
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtestkit_cli.redact import MASK, Redactor


@given(st.text(min_size=4), st.text(), st.text())
def test_a_registered_value_is_masked_wherever_it_stands(secret: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.register(secret)
    cleaned = redactor.clean(before + secret + after)
    assert secret not in cleaned or secret in MASK * 3 or secret in before + after


@pytest.mark.parametrize(
    "spelling",
    [str, lambda text: quote(text, safe=""), json.dumps, repr, quote],
    ids=["plain", "percent", "json", "repr", "path"],
)
def test_a_value_is_masked_in_every_spelling(spelling: object) -> None:
    assert callable(spelling)
    secret = 'p/ä "x"\\+y&z'
    redactor = Redactor()
    redactor.register(secret)
    cleaned = redactor.clean(f"before {spelling(secret)} after")
    assert cleaned.replace('"', "").replace("'", "") == "before *** after"


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    redactor = Redactor()
    redactor.register("canary")
    redactor.register("canary-4711")
    assert redactor.clean("canary-4711 canary") == "*** ***"


def test_the_parts_of_an_address_are_secrets_of_their_own() -> None:
    redactor = Redactor()
    redactor.register("https://user:longpassword@example.org/hooks/T0K3NT0K3N?key=anotherkey1")
    cleaned = redactor.clean(
        "POST /hooks/T0K3NT0K3N failed for longpassword with T0K3NT0K3N and anotherkey1 at example.org"
    )
    assert "T0K3N" not in cleaned
    assert "longpassword" not in cleaned
    assert "anotherkey1" not in cleaned
    assert "example.org" in cleaned


@pytest.mark.parametrize("value", ["", "a", "abc"])
def test_what_is_too_short_to_be_a_secret_is_left_alone(value: str) -> None:
    redactor = Redactor()
    redactor.register(value)
    assert redactor.clean("abc a ***") == "abc a ***"


def test_a_broken_address_is_masked_whole() -> None:
    redactor = Redactor()
    redactor.register("http://[broken")
    assert redactor.clean("to http://[broken") == "to ***"


def test_a_redactor_travels_empty() -> None:
    redactor = Redactor()
    redactor.register("canary")
    assert pickle.loads(pickle.dumps(redactor)).clean("canary") == "canary"


def test_of_the_address_of_a_server_only_the_password_is_masked() -> None:
    redactor = Redactor()
    redactor.register_login("postgresql://backtestkit:canary%20word@db.example/backtestkit")
    redactor.register_login("redis://cache.example/1?password=canary-two")
    redactor.register_login("redis://cache.example/backtestkit")
    told = "canary word, canary%20word, canary-two at db.example, cache.example/1, redis://cache.example/backtestkit"
    assert redactor.clean(told) == ("***, ***, *** at db.example, cache.example/1, redis://cache.example/backtestkit")
    assert redactor.clean("`backtestkit session list`") == "`backtestkit session list`"
