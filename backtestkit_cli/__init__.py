"""Backtest and run signal trading strategies."""
