"""Every error of ccxt has a meaning of ours."""

import importlib
import inspect
from typing import Any

import pytest

from backtestkit_cli.data.exchange_errors import MEANINGS, meaning_of
from backtestkit_cli.errors import BacktestkitError, DataError, RejectedError, TransientError, UnknownOutcomeError

ERRORS = importlib.import_module("ccxt.base.errors")
CLASSES: dict[str, Any] = {name: kind for name, kind in vars(ERRORS).items() if inspect.isclass(kind)}


def test_every_class_of_ccxt_is_in_the_table_and_nothing_else() -> None:
    assert set(MEANINGS) == set(CLASSES)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_every_meaning_is_one_of_our_errors_with_advice(name: str) -> None:
    meaning = meaning_of(CLASSES[name]("text"))
    assert issubclass(meaning.error, BacktestkitError)
    assert meaning.error in (TransientError, RejectedError, UnknownOutcomeError, DataError)
    assert meaning is MEANINGS[name]
    assert meaning.hint
    assert not meaning.what.endswith(".")


@pytest.mark.parametrize(
    ("name", "status", "code", "error"),
    [
        ("DDoSProtection", 429, "exchange-throttled", TransientError),
        ("RateLimitExceeded", 429, "exchange-throttled", TransientError),
        ("InvalidNonce", 400, "clock-skew", RejectedError),
        ("ExchangeNotAvailable", 503, "exchange-unavailable", TransientError),
        ("ExchangeNotAvailable", 451, "exchange-location", RejectedError),
        ("ExchangeNotAvailable", 403, "exchange-forbidden", RejectedError),
        ("PermissionDenied", 403, "exchange-permission", RejectedError),
        ("RequestTimeout", None, "exchange-timeout", TransientError),
        ("CancelPending", None, "unknown-outcome", UnknownOutcomeError),
        ("ChecksumError", None, "exchange-checksum", DataError),
    ],
)
def test_the_caller_can_act_on_the_meaning(name: str, status: int | None, code: str, error: type) -> None:
    meaning = meaning_of(CLASSES[name]("text"), status)
    assert (meaning.code, meaning.error) == (code, error)


def test_a_class_of_a_later_ccxt_means_what_its_parent_means() -> None:
    later: Any = type("SymbolRetired", (CLASSES["BadSymbol"],), {})
    assert meaning_of(later("text")) is MEANINGS["BadSymbol"]


def test_an_exception_that_is_not_of_ccxt_means_an_unreadable_answer() -> None:
    assert meaning_of(KeyError("symbols")).code == "exchange-answer-unreadable"
