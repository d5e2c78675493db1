"""Risk: the order of limits, what counts, and checks written as expressions."""

from random import Random

import pytest
from worlds import START_MS, random_world

from backtestkit_cli.engine.decide import RowDecider
from backtestkit_cli.engine.gate import CheckError, Ledger, RiskProfile, RiskQuestion, Sized, reward_risk
from backtestkit_cli.engine.rules.parse import RuleProblem
from backtestkit_cli.engine.rules.scalar import parse_condition, value_of
from backtestkit_cli.engine.vwap import vwap_all
from backtestkit_cli.engine.walk import StreamWalk, walk_together
from backtestkit_cli.model.event import Closed, CloseReason, Event, Opened, RiskRefused
from backtestkit_cli.model.signal import Position, Signal

NUMBERS = frozenset({"a", "b"})
TRUTHS = frozenset({"is_long"})


def signal(strategy: str = "s", symbol: str = "X", position: str = "long", **changes: float) -> Signal:
    sign = 1 if position == "long" else -1
    return Signal(
        id="1",
        strategy=strategy,
        symbol=symbol,
        position=Position(position),
        price_open=changes.get("price_open", 100.0),
        price_take_profit=changes.get("price_take_profit", 100.0 + sign * 3),
        price_stop_loss=changes.get("price_stop_loss", 100.0 - sign * 2),
        lifetime_minutes=10,
        decided_at=START_MS,
    )


def closed(of: Signal, time_ms: int = START_MS, pnl_quote: float | None = None, pnl_percent: float = 1.0) -> Closed:
    return Closed(
        time_ms=time_ms,
        signal=of,
        opened_at=of.decided_at,
        price=101.0,
        reason=CloseReason.TAKE_PROFIT,
        pnl_percent=pnl_percent,
        ambiguous_minutes=0,
        profit_at_stake_percent=0.0,
        vwap_lag_percent=0.0,
        is_bridged=False,
        pnl_quote=pnl_quote,
    )


@pytest.mark.parametrize(
    ("limits", "held", "asked", "rule"),
    [
        pytest.param({"max_positions": 1}, [signal("o", "Y")], signal(), "max_positions", id="positions in all"),
        pytest.param({"max_per_symbol": 1}, [signal("o")], signal(), "max_per_symbol", id="positions of the symbol"),
        pytest.param({"max_per_symbol": 1}, [signal("o", "Y")], signal(), None, id="another symbol does not count"),
        pytest.param({"max_per_strategy": 1}, [signal("s", "Y")], signal(), "max_per_strategy", id="of the strategy"),
        pytest.param({"max_per_strategy": 1}, [signal("o", "Y")], signal(), None, id="another strategy does not count"),
        pytest.param({"max_long": 1}, [signal("o", "Y")], signal(), "max_long", id="long positions"),
        pytest.param({"max_long": 1}, [signal("o", "Y")], signal(position="short"), None, id="a short is no long"),
        pytest.param({"max_short": 0}, [], signal(position="short"), "max_short", id="no shorts at all"),
        pytest.param({"max_short": 0}, [], signal(), None, id="a long beside no shorts"),
        pytest.param({"min_reward_risk": 1.6}, [], signal(), "min_reward_risk", id="reward too small"),
        pytest.param({"min_reward_risk": 1.5}, [], signal(), None, id="reward just enough"),
        pytest.param({"max_long": 0, "max_positions": 0}, [], signal(), "max_positions", id="limits have an order"),
    ],
)
def test_a_profile_refuses_by_its_first_broken_limit(
    limits: dict[str, int], held: list[Signal], asked: Signal, rule: str | None
) -> None:
    found = RiskProfile(name="p", **limits).refusal(RiskQuestion(START_MS, asked, 100.0, held))  # type: ignore[arg-type]  # limits by name
    assert (found[0] if found else None) == rule


def test_checks_come_after_the_limits_and_the_first_profile_that_refuses_ends() -> None:
    asked: list[str] = []

    def check(name: str, answer: str | None) -> RiskProfile:
        def ask(_: RiskQuestion) -> str | None:
            asked.append(name)
            return answer

        return RiskProfile(name=name, checks={"checks[0]": ask})

    ledger = Ledger({"s": [check("a", None), check("b", "no"), check("c", None)]})
    refusal = ledger.refuses(START_MS, signal(), 100.0)
    assert refusal is not None
    assert (refusal.profile, refusal.rule, refusal.why, asked) == ("b", "checks[0]", "no", ["a", "b"])
    limited = RiskProfile(name="d", max_positions=0, checks={"checks[0]": check("never", "x").checks["checks[0]"]})
    assert limited.refusal(RiskQuestion(START_MS, signal(), 100.0, [])) == ("max_positions", "")
    assert "never" not in asked


def test_a_closed_position_frees_its_place() -> None:
    ledger = Ledger({"s": [RiskProfile(name="p", max_positions=1)]})
    assert ledger.refuses(START_MS, signal(), 100.0) is None
    ledger.hold(signal())
    refusal = ledger.refuses(START_MS, signal(symbol="Y"), 100.0)
    assert refusal is not None
    assert refusal.open_positions == 1
    ledger.release(closed(signal()))
    assert ledger.refuses(START_MS, signal(symbol="Y"), 100.0) is None


def test_reward_risk_is_the_ratio_of_the_two_ways() -> None:
    assert reward_risk(signal()) == 1.5
    assert reward_risk(signal(position="short")) == 1.5


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a > b", True),
        ("a + b * 2 == 7", True),
        ("-a < 0 and not is_long", False),
        ("a / (b - b) > 1", None),
        ("a / (b - b) > 1 or a > b", True),
        ("a / (b - b) > 1 and a > b", None),
        ("a / (b - b) > 1 and a < b", False),
        ("a >= 3 and b <= 2 and a != b", True),
    ],
)
def test_expressions_on_single_values_are_three_valued(text: str, value: bool | None) -> None:
    expression = parse_condition(text, NUMBERS, TRUTHS)
    assert value_of(expression, {"a": 3.0, "b": 2.0, "is_long": True}) is value


@pytest.mark.parametrize("text", ["max(a, b) > 1", "a[1] > b", "on('1h', a) > 1", "a + b", "close > 1"])
def test_only_operators_over_the_given_names_are_allowed(text: str) -> None:
    with pytest.raises(RuleProblem):
        parse_condition(text, NUMBERS, TRUTHS)


def walks_of(seed: int, limit: int, streams: int) -> list[StreamWalk]:
    """Streams on one market that ask at the same times, so that ties are the rule."""
    world = random_world(seed)
    profile = RiskProfile(name="p", max_positions=limit)
    names = [f"s{number}" for number in range(streams)]
    ledger = Ledger({name: [profile] for name in names})
    price = vwap_all(world.candles, world.terms.limits.average_price_candles)
    return [
        StreamWalk(
            candles=world.candles,
            price=price,
            ticks=world.ticks,
            decider=RowDecider(world.rows),
            terms=type(world.terms)(
                strategy=name,
                symbol="X",
                policy=world.terms.policy,
                costs=world.terms.costs,
                limits=world.terms.limits,
            ),
            ledger=ledger,
        )
        for name in names
    ]


def most_held(events: list[Event]) -> int:
    held = most = 0
    for event in events:
        held += isinstance(event, Opened)
        held -= isinstance(event, Closed)
        most = max(most, held)
    return most


def test_a_limit_is_never_exceeded_and_the_order_of_arguments_changes_nothing() -> None:
    refused = reached = 0
    for seed in range(250):
        random = Random(seed)
        limit = random.choice([1, 2])
        first: list[Event] | None = None
        for _ in range(2):
            walks = walks_of(seed, limit, 10 * limit)
            random.shuffle(walks)
            events = list(walk_together(walks))
            assert most_held(events) <= limit
            assert first is None or events == first
            first = events
        reached += most_held(first or []) == limit
        refused += sum(isinstance(event, RiskRefused) for event in first or [])
        if refused > 1000 and reached > 10:
            break
    assert refused > 1000
    assert reached > 10


def test_a_check_that_cannot_answer_refuses_and_ends_the_questions() -> None:
    asked: list[str] = []

    def fails(question: RiskQuestion) -> str | None:
        asked.append("fails")
        raise CheckError("no connection")

    def never(question: RiskQuestion) -> str | None:
        asked.append("never")
        return None

    profile = RiskProfile(name="calm", checks={"fails": fails, "never": never})
    assert profile.refusal(RiskQuestion(START_MS, signal(), 100.0, ())) == ("check_raised", "no connection")
    assert asked == ["fails"]


def test_a_ledger_is_open_where_nothing_can_refuse_or_size() -> None:
    assert Ledger({}).is_open
    assert Ledger({"s": []}).is_open
    assert not Ledger({"s": [RiskProfile(name="calm")]}).is_open
    assert not Ledger({}, sizers={("s", "X"): lambda question: Sized(1.0)}).is_open
