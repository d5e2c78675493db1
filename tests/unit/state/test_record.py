"""Records: what is written is read again bit for bit, and nothing that is damaged passes."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtestkit_cli.model.signal import Flat, OpenPosition, Position, Signal, SignalState, WaitingEntry
from backtestkit_cli.state.record import FORMAT, LARGEST_BYTES, BadRecord, Record, decode, encode
from backtestkit_cli.state.signal import signal_body, signal_state

SIGNAL = Signal(
    id="00000000-0000-4000-8000-000000000001",
    strategy="ema-cross",
    symbol="BTC/USDT",
    position=Position.SHORT,
    price_open=0.1 + 0.2,
    price_take_profit=0.29,
    price_stop_loss=0.31,
    lifetime_minutes=240,
    decided_at=1_677_628_800_000,
    note="é \u202e | \u0000",
)
OPEN = OpenPosition(
    signal=replace(SIGNAL, quantity=1e-7),
    opened_at=1_677_628_860_000,
    expires_at=1_677_643_260_000,
    entry_vwap=0.3,
    entry_worse=0.30000000000000004,
    profit_level=30,
)
STATES: tuple[SignalState, ...] = (Flat(), WaitingEntry(signal=SIGNAL, wait_until=1_677_636_000_000), OPEN)
RECORD = Record(key="ema-cross BTC/USDT", generation=7, saved_at_ms=1_677_628_860_123, body=signal_body(OPEN))
BYTES = encode(RECORD)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.text(), st.integers(0), st.dictionaries(st.text(), plain, max_size=4))
def test_a_record_is_read_as_it_was_written(key: str, generation: int, body: dict[str, Any]) -> None:
    record = Record(key=key, generation=generation, saved_at_ms=1, body=body)
    assert decode(encode(record)) == record


def test_every_truncation_is_seen() -> None:
    for length in range(len(BYTES)):
        with pytest.raises(BadRecord):
            decode(BYTES[:length])


def test_every_flipped_bit_is_seen() -> None:
    for place in range(len(BYTES)):
        for bit in range(8):
            damaged = bytearray(BYTES)
            damaged[place] ^= 1 << bit
            with pytest.raises(BadRecord):
                decode(bytes(damaged))


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(bytes(len(BYTES)), id="zeros"),
        pytest.param(b"x" * (LARGEST_BYTES + 1), id="a megabyte of nonsense"),
        pytest.param(b"[" * 100_000, id="brackets"),
        pytest.param(b"9" * 5000, id="a long number"),
        pytest.param(b"[]\n", id="a list"),
        pytest.param(b"null\n", id="nothing"),
        pytest.param(b'{"format":"1"}\n', id="a text for a number"),
        pytest.param(b'{"format":1}\n', id="too few keys"),
        pytest.param(BYTES.replace(b'"body"', b'"b\\u006fdy"'), id="the same in other letters"),
        pytest.param(BYTES + b" ", id="something behind"),
        pytest.param(BYTES * 2, id="twice"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(BYTES.replace(b"7,", b"NaN,"), id="no number"),
    ],
)
def test_what_is_no_record_is_refused(payload: bytes) -> None:
    with pytest.raises(BadRecord):
        decode(payload)


def test_a_newer_format_is_named() -> None:
    with pytest.raises(BadRecord, match=f"format is {FORMAT + 1}"):
        decode(encode(replace(RECORD, format=FORMAT + 1)))


def test_what_is_no_number_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(replace(RECORD, body={"price": float("nan")}))


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.kind)
def test_a_state_comes_back_bit_for_bit(state: SignalState) -> None:
    assert signal_state(json.loads(json.dumps(signal_body(state)))) == state


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"kind": "closed"}, id="another kind"),
        pytest.param({"more": 1}, id="a key too many"),
        pytest.param({"opened_at": "now"}, id="a text for a time"),
        pytest.param({"opened_at": None}, id="nothing for a time"),
        pytest.param({"is_bridged": 1}, id="a number for a truth"),
    ],
)
def test_what_is_no_state_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadRecord):
        signal_state({**signal_body(OPEN), **change})


def test_a_state_with_a_key_too_few_is_refused() -> None:
    body = signal_body(OPEN)
    for key in ("kind", "signal", "expires_at"):
        with pytest.raises(BadRecord):
            signal_state({name: value for name, value in body.items() if name != key})


def test_the_first_format_is_read_for_ever() -> None:
    """Written by the first version that stored states; the bytes must never change here."""
    stored = (
        b'{"body":{"kind":"flat"},"checksum":"c1e7e4d992a41d5192c5027eeaba358856662d9dd4eadd5276aadcbe37356d13",'
        b'"format":1,"generation":3,"key":"ema-cross BTC/USDT","saved_at_ms":1677628800000}\n'
    )
    record = decode(stored)
    assert (record.key, record.generation, signal_state(record.body)) == ("ema-cross BTC/USDT", 3, Flat())
