"""What `fill: reference` can do with a config: what it cannot apply is refused, and it never looks past the present.

* It sizes nothing, has no price of a single candle, and follows a frame to the last midnight at most.
* The present counts as far as a run over a range can tell, so that a run over the past is the same on any day.
"""

from collections.abc import Sequence

from backtestkit_cli.config.merge import Config
from backtestkit_cli.errors import ConfigError, Problem, Source
from backtestkit_cli.model.time import DAY_MS, MINUTE_MS, TimeRange, iso


def known_present_ms(config: Config, within: TimeRange, now_ms: int) -> int:
    """The present, at most so late that nothing a run over the range could ask for lies after it."""
    limits = config.settings.limits
    longest_minutes = limits.average_price_candles + limits.max_wait_minutes + limits.max_lifetime_minutes
    return min(now_ms, within.end_ms + longest_minutes * MINUTE_MS + 2 * DAY_MS)


def refuse_unfit(config: Config, strategies: Sequence[str], within: TimeRange, present_ms: int) -> None:
    """Nothing in a config is silently left out of a run.

    Raises:
        ConfigError: the config asks for what the original cannot do.
    """
    problems = [_unfit("knows no sizes", where) for where in sizes(config, strategies)]
    if config.settings.limits.average_price_candles == 1:
        where = config.where("settings", "limits", "average_price_candles")
        problems.append(_unfit("has no price of a single candle", where))
    midnight_ms = present_ms - present_ms % DAY_MS
    if midnight_ms < within.start_ms:
        what = f"follows a frame to the last midnight, {iso(midnight_ms)}, and this one begins after it"
        problems.append(_unfit(what, Source(time_ms=within.start_ms)))
    if problems:
        raise ConfigError(*problems)


def sizes(config: Config, strategies: Sequence[str]) -> list[Source]:
    """Where the config asks for sized positions."""
    places = [config.where("strategies", name, "sizing") for name in strategies if config.strategies[name].sizing]
    return places if config.settings.balance is None else [config.where("settings", "balance"), *places]


def _unfit(what: str, where: Source) -> Problem:
    return Problem("not-with-reference", f"fill: reference {what}", where, hint="choose another fill policy")
