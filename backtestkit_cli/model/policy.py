"""How fills are booked: the policy keys of the rules table, and costs.

Three presets: `honest` judges on the VWAP of each closed minute and never books better than could be traded then;
`touch` fills like resting orders, by high and low; `vwap` books everything at the VWAP and is optimistic. `reference`
is no set of keys: it is the original, with rules of its own.
"""

from dataclasses import dataclass, fields, replace
from typing import Literal, TypeAlias, get_args, get_type_hints

MarketBooks = Literal["worse", "vwap"]
Test = Literal["vwap", "touch"]
Order = Literal["stop_first", "profit_first"]
StopAt = Literal["worse", "level"]
BetterEntry = Literal["market", "given"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FillPolicy:
    """Where a signal is filled.

    `market_books`: market entries and expiries at the worse of VWAP and last close, or at the VWAP.
    `exit`: levels are tested on the VWAP at a minute's end, or on its high and low.
    `entry`: limit entries are reached by VWAP and touch, or by touch alone.
    `order`: which level wins when one minute holds both.
    `stop_at`: a stop books what could be traded, or its level.
    `better_entry`: a given price that the market already beats fills at the market, or at the given price.
    """

    market_books: MarketBooks = "worse"
    exit: Test = "vwap"
    entry: Test = "vwap"
    order: Order = "stop_first"
    stop_at: StopAt = "worse"
    better_entry: BetterEntry = "market"

    @property
    def name(self) -> str:
        """The preset's name, or the preset with what differs: `touch, stop_at: level`."""
        for name, preset in PRESETS.items():
            if self == preset:
                return name
        base = "touch" if self.exit == "touch" else "honest"
        changed = [
            f"{field.name}: {getattr(self, field.name)}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(PRESETS[base], field.name)
        ]
        return ", ".join([base, *changed])

    @property
    def nearest(self) -> "FillPolicy":
        """Itself."""
        return self

    @property
    def is_optimistic(self) -> bool:
        """Whether a key books better than could be traded."""
        return self.market_books == "vwap" or self.stop_at == "level" or self.order == "profit_first"


PRESETS: dict[str, FillPolicy] = {
    "honest": FillPolicy(),
    "touch": FillPolicy(exit="touch", entry="touch"),
    "vwap": FillPolicy(market_books="vwap"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePolicy:
    """The original, bit for bit; it has no keys but its name."""

    name: Literal["reference"] = "reference"

    @property
    def is_optimistic(self) -> bool:
        """It is: its prices know a minute that has not passed, and take profit wins over stop."""
        return True

    @property
    def nearest(self) -> FillPolicy:
        """The keys of ours that say most of it; nothing is filled by them."""
        return FillPolicy(
            market_books="vwap",
            exit="touch",
            entry="touch",
            order="profit_first",
            stop_at="level",
            better_entry="given",
        )


Policy: TypeAlias = FillPolicy | ReferencePolicy


def policy_keys() -> dict[str, tuple[str, ...]]:
    """Each key of a policy mapping with its legal values."""
    return {name: get_args(kind) for name, kind in get_type_hints(FillPolicy).items()}


def policy_from(keys: dict[str, str], base: str = "honest") -> FillPolicy:
    """A preset with some keys changed; keys and values are already checked against `policy_keys`."""
    return replace(PRESETS[base], **keys)  # type: ignore[arg-type]  # values are checked by the caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Fee and slippage in percent per side (0.1 means 0.1 %)."""

    fee_percent: float = 0.1
    slippage_percent: float = 0.1
