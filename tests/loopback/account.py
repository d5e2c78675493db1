"""The money of the account: what is free, and what orders hold."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(slots=True)
class Hold:
    """Money that is kept for an order, or for both orders of a list."""

    asset: str
    amount: Decimal


@dataclass(slots=True)
class Account:
    """Free and locked amounts by asset."""

    free: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    locked: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    @classmethod
    def of(cls, balances: Mapping[str, str]) -> "Account":
        """An account with these free amounts."""
        account = cls()
        account.free.update({asset: Decimal(amount) for asset, amount in balances.items()})
        return account

    def hold(self, asset: str, amount: Decimal) -> Hold | None:
        """Lock an amount; None when there is not as much."""
        if self.free[asset] < amount:
            return None
        self.free[asset] -= amount
        self.locked[asset] += amount
        return Hold(asset, amount)

    def spend(self, hold: Hold, amount: Decimal) -> bool:
        """Pay out of a hold, then out of what is free; False, and nothing paid, when both are too little."""
        held = min(hold.amount, amount)
        if self.free[hold.asset] < amount - held:
            return False
        hold.amount -= held
        self.locked[hold.asset] -= held
        self.free[hold.asset] -= amount - held
        return True

    def release(self, hold: Hold) -> None:
        """Free what is left of a hold."""
        self.locked[hold.asset] -= hold.amount
        self.free[hold.asset] += hold.amount
        hold.amount = Decimal(0)

    def assets(self) -> list[str]:
        """All that was ever here."""
        return sorted({*self.free, *self.locked})
