"""State that was moved away or deleted while something is open: nothing begins beside it, and nothing is forgotten."""

import shutil
from pathlib import Path

import pytest
from accelerated import Session, run_live
from real_orders import CONFIG, START_MS, SYMBOL, RealRun, real_run

from backtestkit_cli import Closed, Opened
from backtestkit_cli.errors import StateError
from backtestkit_cli.model.time import MINUTE_MS

MOVED = CONFIG.replace("{balance: 10000}", "{balance: 10000, state: {path: elsewhere}}")


def on_paper(
    run: RealRun, start_ms: int, end_ms: int, *, deleted_ms: int | None = None, leaves: bool = True
) -> Session:
    """A session on paper; its state is deleted on the way, if it is said."""

    def prepared(live: object) -> None:
        clock = live.clock  # type: ignore[attr-defined]
        run.exchange.clock = clock
        if deleted_ms is not None:
            clock.at[deleted_ms] = lambda: shutil.rmtree(run.folder / "state")

    return run_live(
        run.kit,
        "market",
        start=start_ms,
        end=end_ms,
        symbols=[SYMBOL],
        exchange="loop",
        leaves=leaves,
        prepared=prepared,
    )


def left_open(run: RealRun) -> int:
    """Leave a session on paper with an open position; when that was."""
    for minute in range(2, 60):
        end_ms = START_MS + minute * MINUTE_MS + 20_000
        session = on_paper(run, end_ms - MINUTE_MS, end_ms)
        run.events += session.events
        if run.events and isinstance(run.events[-1], Opened):
            return end_ms
    raise AssertionError("nothing was opened")


def configure(run: RealRun, config: str) -> None:
    (run.folder / "configs" / "real.yaml").write_text(config.replace("URL", run.exchange.url), encoding="utf-8")


def test_a_position_on_paper_is_not_forgotten_when_its_state_is_elsewhere(tmp_path: Path) -> None:
    with real_run(tmp_path, minutes=100) as run:
        now_ms = left_open(run)
        configure(run, MOVED)
        with pytest.raises(StateError, match="left market on BTC/USDT open") as caught:
            on_paper(run, now_ms + 20_000, now_ms + MINUTE_MS)
        assert (caught.value.code, caught.value.exit_code) == ("left-elsewhere", 7)
        configure(run, CONFIG)
        session = on_paper(run, now_ms + 20_000, now_ms + MINUTE_MS, leaves=False)
        assert Closed in map(type, session.events)
        configure(run, MOVED)
        on_paper(run, now_ms + 20 * MINUTE_MS, now_ms + 20 * MINUTE_MS + 20_000)


def test_who_says_that_nothing_is_open_can_begin_with_other_state(tmp_path: Path) -> None:
    with real_run(tmp_path, minutes=100) as run:
        now_ms = left_open(run)
        configure(run, MOVED)
        run.kit.sessions.reconciling().say_flat("market", SYMBOL)
        on_paper(run, now_ms + 20_000, now_ms + 30_000)


@pytest.mark.parametrize("use", ["files", "sqlite"])
def test_a_session_whose_state_is_deleted_enters_nothing_more_and_watches_what_is_open(
    use: str, tmp_path: Path
) -> None:
    with real_run(tmp_path, minutes=100) as run:
        configure(run, CONFIG.replace("{balance: 10000}", f"{{balance: 10000, state: {{use: {use}}}}}"))
        now_ms = left_open(run)
        session = on_paper(run, now_ms + 20_000, now_ms + 40 * MINUTE_MS, deleted_ms=now_ms + 30_000)
        assert [type(event) for event in session.events if isinstance(event, Opened | Closed)] == [Closed]
        told = [one for one in session.troubles if one.code == "state-not-saved"]
        assert "deleted or replaced" in str(told[0])
        assert not list((tmp_path / "state").glob("*/*.json"))


def test_a_fresh_start_beside_a_position_whose_state_was_deleted_is_refused(tmp_path: Path) -> None:
    with real_run(tmp_path, minutes=100) as run:
        now_ms = left_open(run)
        shutil.rmtree(tmp_path / "state")
        with pytest.raises(StateError, match="left market on BTC/USDT open"):
            on_paper(run, now_ms + 20_000, now_ms + MINUTE_MS)


def test_orders_at_the_exchange_that_no_record_knows_let_nothing_begin(tmp_path: Path) -> None:
    """Not even where the journals are gone too."""
    with real_run(tmp_path, minutes=100) as run:
        now_ms = START_MS + 5_000
        while not run.open_orders():
            run.live(now_ms, now_ms + MINUTE_MS, "market")
            now_ms += MINUTE_MS
        for name in ("state", "logs"):
            shutil.rmtree(tmp_path / name)
        known = len(run.exchange.orders())
        with pytest.raises(StateError, match="orders of backtestkit at the exchange") as caught:
            run.live(now_ms, now_ms + 9 * MINUTE_MS, "market")
        assert caught.value.exit_code == 7
        assert len(run.exchange.orders()) == known
        for one in run.open_orders():
            if one["type"] == "STOP_LOSS":
                run.exchange.by_hand("cancel", symbol="BTCUSDT", origClientOrderId=one["clientOrderId"])
        run.live(now_ms + 10 * MINUTE_MS, now_ms + 10 * MINUTE_MS + 5_000, "market")
