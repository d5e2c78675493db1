"""Candles in: sources, one strict border, the store on disk."""
