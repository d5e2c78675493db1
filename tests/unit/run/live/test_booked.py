"""What is in the account already: a position by its id and its decision time, told again after a crash or not."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from backtestkit_cli.engine.account import Account
from backtestkit_cli.model.event import Closed, CloseReason
from backtestkit_cli.model.signal import Position, Signal
from backtestkit_cli.run.live.keeping import Keeping
from backtestkit_cli.run.live.stream import LiveLedger
from backtestkit_cli.state.session import SessionState
from backtestkit_cli.state.store import FileStore

SIGNAL = Signal(
    id="mine",
    strategy="own",
    symbol="BTCUSDT",
    position=Position.LONG,
    price_open=100.0,
    price_take_profit=102.0,
    price_stop_loss=98.0,
    lifetime_minutes=10,
    decided_at=60_000,
)
CLOSED = Closed(
    time_ms=120_000,
    signal=SIGNAL,
    opened_at=60_000,
    price=101.0,
    reason=CloseReason.TAKE_PROFIT,
    pnl_percent=1.0,
    ambiguous_minutes=0,
    profit_at_stake_percent=0.0,
    vwap_lag_percent=0.0,
    is_bridged=False,
    pnl_quote=5.0,
)
LATER = replace(CLOSED, time_ms=300_000, signal=replace(SIGNAL, decided_at=180_000))


def restored(folder: Path, *closed: Closed, is_old: bool = False) -> LiveLedger:
    """The ledger of the next start, after these positions have closed in this one."""
    state = SessionState(FileStore(folder, lambda: 0))
    before = LiveLedger({}, account=Account(100.0))
    for one in closed:
        before.release(one)
    keeping = Keeping(state, before, lambda _: None, session="one", _is_money_unkept=True)
    keeping._save_money()
    if is_old:
        record = state.money()
        assert record is not None
        body = asdict(record)
        del body["booked_decided_ms"]
        state.store.save("money", "only", body)
    after = LiveLedger({}, account=Account(100.0))
    Keeping(state, after, lambda _: None, session="one").restore_money()
    return after


def equity(ledger: LiveLedger, *closed: Closed) -> float:
    for one in closed:
        ledger.release(one)
    assert ledger.account is not None
    return ledger.account.equity


@pytest.mark.parametrize("is_old", [False, True])
def test_a_position_that_closes_again_after_a_crash_is_booked_once(tmp_path: Path, is_old: bool) -> None:
    assert equity(restored(tmp_path, CLOSED, is_old=is_old), CLOSED, CLOSED) == 105.0


def test_an_id_that_is_given_again_is_another_position(tmp_path: Path) -> None:
    assert equity(restored(tmp_path, CLOSED), LATER, LATER) == 110.0
    assert equity(restored(tmp_path, CLOSED, LATER), LATER) == 110.0


def test_a_record_without_decision_times_still_loads(tmp_path: Path) -> None:
    ledger = restored(tmp_path, CLOSED, is_old=True)
    assert equity(ledger, CLOSED, LATER) == 110.0, "the id alone counts until something is booked"
