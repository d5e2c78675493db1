"""Addresses, headers and texts: the small rules of the ccxt client."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import FakeClock, LoopbackExchange

from backtestkit_cli.data.exchange import CcxtExchange
from backtestkit_cli.data.exchange_client import Account
from backtestkit_cli.data.wire import excerpt, moved, retry_after_ms, step_of
from backtestkit_cli.errors import ConfigError, RejectedError
from backtestkit_cli.model.order import AtMarket, NotThere, Order

NOW_MS = 1_700_000_000_000  # Tue, 14 Nov 2023 22:13:20 GMT


def test_every_address_in_a_tree_is_moved_with_its_path() -> None:
    urls = {"public": "https://api.example.com/api/v3", "ws": {"spot": "wss://{hostname}"}, "version": 3}
    assert moved(urls, "http://127.0.0.1:9/gate/") == {
        "public": "http://127.0.0.1:9/gate/api/v3",
        "ws": {"spot": "http://127.0.0.1:9/gate/"},
        "version": 3,
    }


@pytest.mark.parametrize("base_url", ["127.0.0.1:80", "ftp://example.com", "http://", "", "http://a/?key=1"])
def test_a_base_url_that_is_no_address_is_refused(base_url: str) -> None:
    source = CcxtExchange("binance", base_url=base_url, clock=FakeClock(NOW_MS))
    with pytest.raises(ConfigError) as caught:
        source.steps("BTCUSDT")
    assert str(caught.value) == f"{base_url!r} is no address an exchange can be asked at"
    assert caught.value.problems[0].expected == "such as http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("text", "silence_ms"),
    [
        (None, None),
        ("3", 3000),
        (" 1.5 ", 1500),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60_000),
        ("Tue, 14 Nov 2023 22:12:20 GMT", 0),
        ("soon", None),
        ("-3", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(text: str | None, silence_ms: int | None) -> None:
    assert retry_after_ms(text, NOW_MS) == silence_ms


@pytest.mark.parametrize(
    ("precision", "mode", "step"),
    [(0.01, 4, 0.01), (2, 2, 0.01), (0, 2, 1.0), (5, 3, None), (None, 4, None)],
)
def test_a_step_is_read_in_each_precision_mode_of_ccxt(precision: float | None, mode: int, step: float | None) -> None:
    assert step_of(precision, mode=mode) == step


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_secret_and_no_address_is_in_an_excerpt(before: str, after: str) -> None:
    body = f"{before} KEYKEY SECSEC https://host/x?signature=abc {after} signature=beef"
    text = excerpt(body, secrets=("KEYKEY", "SECSEC", None))
    assert not any(word in text for word in ("KEYKEY", "SECSEC", "signature=b", "://"))
    assert text.isprintable()
    assert len(text) <= 201


def test_the_account_does_not_show_its_secrets() -> None:
    account = Account(id="a", api_key="KEYKEY", secret="SECSEC", base_url=None, market="spot", timeout_ms=1)
    assert "KEYKEY" not in repr(account)
    assert "SECSEC" not in repr(account)


def test_an_unknown_exchange_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError) as caught:
        CcxtExchange("Binanse", clock=FakeClock(NOW_MS)).candles("BTCUSDT", 0, 60_000)
    (problem,) = caught.value.problems
    assert (problem.code, problem.what) == ("unknown-exchange", "ccxt knows no exchange 'Binanse'")
    assert problem.hint == "did you mean binance?"


def test_a_missing_ccxt_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(RejectedError) as caught:
        CcxtExchange("binance", clock=FakeClock(NOW_MS)).steps("BTCUSDT")
    (problem,) = caught.value.problems
    assert problem.code == "ccxt-missing"
    assert problem.what == "ccxt, which talks to exchanges, cannot be imported"
    assert problem.hint is not None
    assert "pip install --upgrade ccxt" in problem.hint


def test_requests_are_signed_with_the_time_of_the_exchange_once_our_clock_is_known_to_be_wrong() -> None:
    order = Order(client_id="bk", symbol="BTC/USDT", side="buy", quantity=0.01, way=AtMarket())
    for wrong_ms in (3_600_000, -3_600_000):
        with LoopbackExchange(clock=FakeClock(NOW_MS)) as exchange:
            clock = FakeClock(NOW_MS + wrong_ms)
            source = CcxtExchange("binance", base_url=exchange.url, api_key="k", secret="s", clock=clock)
            broker = source.broker()
            broker.admit("BTC/USDT")
            exchange.is_strict = True
            answers = [broker.query(order), broker.query(order)]
            assert answers[-1] == NotThere()
