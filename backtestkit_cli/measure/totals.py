"""Figures over all trades of a stream or a session, run on trade by trade, when not all of the trades are kept.

* What is added, in order of closing, comes to the same bits as measuring all trades at once.
* A figure that would need every trade again, such as the deviation, is none of these.
"""

from dataclasses import dataclass

from backtestkit_cli.measure.metrics import NO_TRADE, Metric, metric
from backtestkit_cli.measure.money import beside_money
from backtestkit_cli.model.event import Closed
from backtestkit_cli.model.trade import FLAT_PERCENT


@dataclass(slots=True, kw_only=True)
class Totals:
    """Running sums: percents net of costs, `pnl_quote` in quote currency, None where nothing was sized.

    `gains` and `losses` are the sums over winning and losing trades, `peak` and `drawdown` those of the curve of 100
    plus the sum of trade percents.
    """

    trades: int = 0
    wins: int = 0
    lost: int = 0
    pnl: float = 0.0
    gains: float = 0.0
    losses: float = 0.0
    best: float | None = None
    worst: float | None = None
    long_trades: int = 0
    long_pnl: float = 0.0
    short_pnl: float = 0.0
    peak: float = 100.0
    drawdown: float = 0.0
    pnl_quote: float | None = None

    def add(self, closed: Closed) -> None:
        """Take one more trade."""
        pnl, is_long = closed.pnl_percent, closed.signal.is_long
        self.trades, self.pnl = self.trades + 1, self.pnl + pnl
        if pnl > FLAT_PERCENT:
            self.wins, self.gains = self.wins + 1, self.gains + pnl
        elif pnl < -FLAT_PERCENT:
            self.lost, self.losses = self.lost + 1, self.losses + pnl
        if is_long:
            self.long_trades, self.long_pnl = self.long_trades + 1, self.long_pnl + pnl
        else:
            self.short_pnl += pnl
        self.best = pnl if self.best is None else max(self.best, pnl)
        self.worst = pnl if self.worst is None else min(self.worst, pnl)
        self.peak = max(self.peak, 100.0 + self.pnl)
        self.drawdown = max(self.drawdown, self.peak - (100.0 + self.pnl))
        if closed.pnl_quote is not None:
            self.pnl_quote = (self.pnl_quote or 0.0) + closed.pnl_quote

    def metrics(self, balance: float | None = None) -> tuple[Metric, ...]:
        """What it comes to; with a `balance`, in quote currency, the money first."""
        percents = (*self._outcome(), *self._sides())
        return percents if balance is None else (*self._money(balance), *beside_money(percents))

    def _outcome(self) -> tuple[Metric, ...]:
        count, fall = self.trades, self.drawdown if self.drawdown > FLAT_PERCENT else 0.0
        rate, average = (100 * self.wins / count, self.pnl / count) if count else (None, None)
        factor = self.gains / -self.losses if self.losses else None
        no_loss = "no losing trade" if count else NO_TRADE
        return (
            metric("pnl_percent", "PnL, net", self.pnl, "%", is_signed=True),
            metric("trades", "Trades", count, "trades"),
            metric("wins", "Wins", self.wins, "trades"),
            metric("losses", "Losses", self.lost, "trades"),
            metric("win_rate_percent", "Win rate", rate, "%", reason=NO_TRADE),
            metric("average_pnl_percent", "Average trade", average, "%", reason=NO_TRADE, is_signed=True),
            metric("best_trade_percent", "Best trade", self.best, "%", reason=NO_TRADE, is_signed=True),
            metric("worst_trade_percent", "Worst trade", self.worst, "%", reason=NO_TRADE, is_signed=True),
            metric("profit_factor", "Profit factor", factor, reason=no_loss),
            metric("max_drawdown_percent", "Max drawdown", fall, "%"),
        )

    def _sides(self) -> tuple[Metric, ...]:
        found: list[Metric] = []
        short_trades = self.trades - self.long_trades
        for side, count, pnl in (("long", self.long_trades, self.long_pnl), ("short", short_trades, self.short_pnl)):
            label, brought = side.capitalize(), pnl if count else None
            found += (
                metric(f"{side}_trades", f"{label} trades", count, "trades"),
                metric(f"{side}_pnl_percent", f"{label} PnL", brought, "%", reason=f"no {side} trade", is_signed=True),
            )
        return tuple(found)

    def _money(self, balance: float) -> tuple[Metric, ...]:
        made = self.pnl_quote or 0.0
        return (
            metric("pnl_quote", "PnL, quote currency", made, is_signed=True),
            metric("return_percent", "Return on the balance", 100 * made / balance, "%", is_signed=True),
        )
