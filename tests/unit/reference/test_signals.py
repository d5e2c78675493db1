"""Validation of the original: what the table of recordings does not show."""

from backtestkit_cli.engine.reference.signals import broken_rules
from backtestkit_cli.model.limits import Limits


def rules(limits: Limits | None = None, **changed: object) -> tuple[str, ...]:
    given: dict[str, object] = {
        "position": "long",
        "price": 100.0,
        "price_open": 100.0,
        "take_profit": 102.0,
        "stop_loss": 98.0,
        "lifetime": 60,
    }
    is_scheduled = bool(changed.pop("is_scheduled", False))
    return broken_rules(**(given | changed), is_scheduled=is_scheduled, limits=limits or Limits())


def test_a_waiting_entry_exactly_at_a_level_is_beyond_it() -> None:
    assert rules(take_profit=100.0, is_scheduled=True) == (
        "long_tp_wrong_side",
        "long_scheduled_open_beyond_profit",
        "long_tp_too_close",
    )
    assert "long_scheduled_open_beyond_stop" in rules(stop_loss=100.0, is_scheduled=True)


def test_the_bare_double_decides_at_a_limit() -> None:
    assert (100.3 - 99.7985) / 100.3 * 100 < 0.5
    assert rules(price_open=100.3, stop_loss=99.7985) == ("long_sl_too_close",)


def test_limits_of_zero_are_switched_off() -> None:
    off = Limits(min_take_profit_percent=0, min_stop_loss_percent=0, max_stop_loss_percent=0, max_lifetime_minutes=0)
    assert rules(off, take_profit=100.0001, stop_loss=1.0, lifetime=10**9) == ()


def test_an_entry_of_zero_gives_distances_without_end() -> None:
    assert rules(price_open=0.0) == (
        "price_open_not_positive",
        "long_sl_wrong_side",
        "long_sl_too_close",
    )
