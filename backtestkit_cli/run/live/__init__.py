"""A live session: the engine of the backtest on the running market, minute by minute."""
