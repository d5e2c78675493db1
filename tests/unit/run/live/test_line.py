"""What people read of an event, in one line."""

from make import Deal, closed

from backtestkit_cli.model.event import RiskRefused
from backtestkit_cli.run.live.line import line_of, price_text


def test_a_closed_position_says_where_it_was_opened_and_where_closed() -> None:
    event = closed(Deal())
    assert (price_text(event.signal.price_open), price_text(event.price)) == ("100.00", "102.00")
    assert "closed     ema-cross BTCUSDT  long 100.00 → 102.00, " in line_of(event)


def test_a_refusal_has_its_figure_where_it_is_known() -> None:
    signal = closed(Deal()).signal
    told = [
        line_of(
            RiskRefused(
                time_ms=0,
                signal=signal,
                stage="decision",
                price=1,
                profile="calm",
                rule=rule,
                open_positions=2,
                why=why,
            )
        ).rpartition("  ")[2]
        for rule, why in (("max_positions", ""), ("min_reward_risk", ""), ("max_long", ""), ("checks[0]", "too late"))
    ]
    assert told[0] == "calm: max_positions, 2 open"
    assert told[1].startswith("calm: min_reward_risk, this one has ")
    assert told[2:] == ["calm: max_long", "calm: too late"]
