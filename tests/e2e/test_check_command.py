"""`backtestkit check` as its users meet it: what it prints, how it ends, and what it leaves alone."""

from pathlib import Path

import pytest
from e2e.project import Project, make_project, snapshot

AHEAD = """\
import polars as pl


def call(candles: pl.LazyFrame) -> pl.LazyFrame:
    print("hello")
    move = pl.col("close").shift(-1) - pl.col("close")
    return candles.filter(pl.col("price").is_not_null() & (move != 0)).select(
        "time",
        position=pl.when(move > 0).then(pl.lit("long")).otherwise(pl.lit("short")),
        price_take_profit=pl.col("price") * (1 + move.sign() * 0.01),
        price_stop_loss=pl.col("price") * (1 - move.sign() * 0.01),
        lifetime_minutes=pl.lit(60),
    )
"""
ASKED = """\
import random

count = 0


def call(market):
    global count
    count += 1
    slow = market.candles("1h", LENGTH).close.mean()
    minutes = MINUTES
    return {
        "position": "long", "price_take_profit": market.price * 1.01,
        "price_stop_loss": market.price * 0.99 - slow / 1e4,
        "lifetime_minutes": minutes,
    }


def stubborn(market):
    return "buy"


def wants(event, other):
    return None


def vague(something):
    return None


def strict(question):
    return 5


class Bad:
    def candles(self, symbol, start_ms, end_ms):
        return None

    def steps(self, symbol):
        return None
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def add(project: Project, code: str, keys: str = "") -> None:
    project.write("strategies/one.py", code)
    use = f'{{name: one, interval: 1h, use: "strategies/one.py:call"{keys}}}'
    project.write("configs/one.yaml", f"strategies:\n  - {use}\n")


def asked(length: int = 3, minutes: str = "60") -> str:
    return ASKED.replace("LENGTH", str(length)).replace("MINUTES", minutes)


def codes(project: Project, *arguments: str, code: int = 0) -> dict[str, dict[str, object]]:
    done = project.inside("check", *arguments, "--json")
    assert done.code == code, done.stderr or done.stdout
    assert done.stderr == ""
    return {one["code"]: one for one in done.document["findings"]}


def test_a_strategy_that_looks_ahead_ends_with_code_4_and_names_what_changed(project: Project) -> None:
    add(project, AHEAD)
    done = project.inside("check", "one")
    assert done.code == 4
    text = " ".join(done.stdout.split())
    assert "✗ looks ahead, so its result cannot be had in trading: position at 2023-03-01T" in text
    assert "likely: line 6: shift(-n) takes the value of a later row" in text
    assert "1 error, " in done.stdout.splitlines()[-1]
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "hello" not in done.stdout + done.stderr


def test_json_is_one_document_with_the_values(project: Project) -> None:
    add(project, AHEAD)
    found = codes(project, "one", code=4)["looks-ahead"]
    assert (found["level"], found["strategy"], found["symbol"]) == ("error", "one", "BTCUSDT")
    decision = found["decision"]
    assert isinstance(decision, dict)
    assert decision["column"] == "position"
    assert {decision["known"], decision["again"]} <= {"long", "short", None}
    assert decision["known"] != decision["again"]


def test_sound_strategies_of_all_forms_end_with_code_0_and_nothing_is_written(project: Project) -> None:
    before = snapshot(project.folder)
    done = project.inside("check")
    assert done.code == 0
    for name in ("cross", "asked", "rows", "listed"):
        assert f"{name} on BTCUSDT" in done.stdout
    assert done.stdout.count("no decision changed with another future") == 3
    assert "signals of a file" in done.stdout
    assert done.stdout == project.inside("check").stdout
    assert snapshot(project.folder) == before


def test_a_warm_up_that_is_too_short_is_measured_and_the_line_given(project: Project) -> None:
    add(project, asked(length=30), ", warm_up: 2h")
    found = codes(project, "one", "--frame", "week")["warm-up-too-short"]
    assert found["text"] == "it needs 30 h of history, measured at 6 drafts, and gets 2 h"
    assert found["hint"] == "write `warm_up: 30h`"
    add(project, asked(length=30), ", warm_up: 30h")
    assert "warm-up-enough" in codes(project, "one", "--frame", "week")


def test_what_depends_on_every_candle_since_the_first_has_no_warm_up(project: Project) -> None:
    mean = "pl.col('close').cum_sum() / pl.int_range(1, pl.len() + 1)"
    code = AHEAD.replace("shift(-1)", "shift(1)").replace(
        "1 + move.sign() * 0.01)", f"1 + move.sign() * 0.01) + 1e-4 * {mean}"
    )
    add(project, code)
    assert codes(project, "one")["history-dependent"]["level"] == "warning"


def test_chance_is_an_error_and_memory_a_warning(project: Project) -> None:
    add(project, asked(minutes="random.SystemRandom().randint(30, 900)"), ", warm_up: 3h")
    assert codes(project, "one", code=4)["not-deterministic"]["level"] == "error"
    chance = "pl.lit(9 + int.from_bytes(__import__('os').urandom(4)) % 1400)"  # hardly ever the same twice
    add(project, AHEAD.replace("shift(-1)", "shift(1)").replace("pl.lit(60)", chance))
    assert "looks-ahead" not in codes(project, "one", code=4)
    add(project, asked(minutes="60 + count"), ", warm_up: 3h")
    assert codes(project, "one")["carries-state"]["level"] == "warning"


def test_a_strategy_that_raises_on_fewer_candles_is_warned_of(project: Project) -> None:
    fragile = (
        'if candles.select(pl.len()).collect().item() < 20:\n        raise ValueError("too few")\n    print("hello")'
    )
    code = AHEAD.replace("shift(-1)", "shift(1)").replace('print("hello")', fragile)
    add(project, code, ", warm_up: 6h")
    found = codes(project, "one")["probe-raised"]
    assert "ValueError: too few" in str(found["text"])


def test_a_strategy_that_raises_in_every_run_stops_no_other(project: Project) -> None:
    add(project, AHEAD.replace('print("hello")', 'raise ValueError("never")'))
    found = codes(project, "one", "cross", code=4)
    assert "ValueError: never" in str(found["raises"]["text"])
    assert found["stands"]["strategy"] == "cross"


def test_costs_of_nothing_and_levels_inside_them_are_told(project: Project) -> None:
    assert "costs-zero" in codes(project, "cross", "--set", "settings.costs={fee_percent: 0, slippage_percent: 0}")
    set_ = ("--set", "settings.costs.fee_percent=0.5", "--set", "settings.limits.min_take_profit_percent=1.2")
    found = codes(project, "cross", *set_)["take-profit-below-costs"]
    assert "does not cover the costs of 1.2 %" in str(found["text"])


def test_without_plugins_no_code_of_the_user_runs(project: Project) -> None:
    add(project, 'raise SystemExit("ran")\n')
    found = codes(project, "one", "cross", "--no-plugins")
    assert found["not-run"]["strategy"] == "one"
    assert found["stands"]["strategy"] == "cross"


def test_all_that_is_wrong_with_a_config_is_told_together(project: Project) -> None:
    project.write(
        "configs/wrong.yaml",
        "risks: [{name: strange, checks: [{allow: 'prise > 1'}]}]\n"
        "strategies:\n"
        "  - {name: gone, interval: 1h, use: 'strategies/gone.py:call'}\n"
        "  - {name: more, interval: 1h, use: 'strategies/own.py:asked', params: {size: 1}, risk: strange}\n"
        "  - {name: told, interval: 1h, use: 'strategies/own.py:asked', callbacks: {on_open: 'no.py:told'}}\n"
        "  - {name: rule, interval: 1h, rules: {long: 'closes > 1', take_profit: 1%, stop_loss: 1%, lifetime: 2h}}\n",
    )
    done = project.inside("check", "cross", "--json")
    assert done.code == 2
    found = [problem["code"] for problem in done.document["error"]["problems"]]
    assert found.count("plugin-not-found") == 2
    assert found.count("bad-rule") == 2
    assert found.count("unknown-key") == 1


def test_a_look_at_the_wall_clock_is_warned_of(project: Project) -> None:
    add(project, asked(minutes="60 + 0 * __import__('time').localtime().tm_hour"), ", warm_up: 3h")
    assert "asks-the-clock" not in codes(project, "one")  # only what is written plainly
    add(project, asked(minutes="60 + 0 * time.localtime().tm_hour").replace("random", "time"), ", warm_up: 3h")
    assert str(codes(project, "one")["asks-the-clock"]["text"]).startswith("line 10 asks for the wall clock")


def test_a_strategy_without_drafts_is_said_to_have_none(project: Project) -> None:
    add(project, AHEAD.replace("(move != 0)", "(move > 1e9)"))
    assert "no-draft" in codes(project, "one")


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("strategies/own.py:asked", "plugin-conforms"),
        ("strategies/own.py:rows", "plugin-conforms"),
        ("sample", "plugin-conforms"),
        ("strategies/one.py:call", "port-repeat"),
        ("strategies/one.py:stubborn", "port-answer"),
        ("strategies/one.py:wants", "port-arguments"),
        ("strategies/one.py:strict", "port-answer"),
        ("strategies/one.py:Bad", "port-columns"),
    ],
)
def test_a_plugin_is_held_to_the_promises_of_its_port(project: Project, reference: str, found: str) -> None:
    project.write("strategies/one.py", asked(minutes="60 + count"))
    assert found in codes(project, "--plugin", reference, code=0 if found == "plugin-conforms" else 4)


def test_a_function_that_fits_no_port_is_a_usage_error(project: Project) -> None:
    project.write("strategies/one.py", asked())
    done = project.inside("check", "--plugin", "strategies/one.py:vague")
    assert done.code == 2
    assert "error: unknown-port" in done.stderr
    assert project.inside("check", "--plugin", "no-such").code == 2
    assert "error: conflict" in project.inside("check", "one", "--plugin", "sample").stderr


def test_a_plugin_is_known_by_the_config_that_names_it(project: Project) -> None:
    project.write("strategies/one.py", asked())
    project.write(
        "configs/one.yaml",
        "risks:\n"
        "  - name: r\n"
        "    checks: ['strategies/one.py:vague']\n"
        "    callbacks: {on_rejected: 'strategies/one.py:wants'}\n"
        "sizings:\n"
        "  - {name: s, method: 'strategies/one.py:strict', params: {}}\n"
        "  - {name: t, method: 'strategies/one.py:stubborn'}\n"
        "settings: {balance: 1000}\n",
    )
    assert "plugin-conforms" in codes(project, "--plugin", "strategies/one.py:strict")
    assert "port-answer" in codes(project, "--plugin", "strategies/one.py:stubborn", code=4)
    assert "plugin-conforms" in codes(project, "--plugin", "strategies/one.py:vague")
    assert "port-arguments" in codes(project, "--plugin", "strategies/one.py:wants", code=4)
