"""Strategies as a language model, or anybody, writes them; with our own examples they are what must be allowed."""

import re
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_END = """.filter(side.is_not_null() & pl.col("price").is_not_null()).select(
        "time",
        position=pl.when(side > 0).then(pl.lit("long")).otherwise(pl.lit("short")),
        price_take_profit=pl.col("price") * (1 + 0.012 * side),
        price_stop_loss=pl.col("price") * (1 - 0.008 * side),
        lifetime_minutes=pl.lit(240),
    )
"""

_BODIES = {
    "relative strength": """
    change = pl.col("close").diff()
    gain = change.clip(lower_bound=0).ewm_mean(alpha=1 / period, adjust=False)
    loss = (-change).clip(lower_bound=0).ewm_mean(alpha=1 / period, adjust=False)
    rsi = 100 - 100 / (1 + gain / loss)
    side = pl.when(rsi < 30).then(1).when(rsi > 70).then(-1)
    return candles""",
    "bands": """
    mean, deviation = pl.col("close").rolling_mean(period), pl.col("close").rolling_std(period)
    upper, lower = mean + 2 * deviation, mean - 2 * deviation
    side = pl.when(pl.col("close") < lower).then(1).when(pl.col("close") > upper).then(-1)
    return candles""",
    "MACD": """
    fast = pl.col("close").ewm_mean(span=12, adjust=False)
    slow = pl.col("close").ewm_mean(span=26, adjust=False)
    line = fast - slow
    histogram = line - line.ewm_mean(span=9, adjust=False)
    turns = (histogram > 0) & (histogram.shift(1) <= 0)
    side = pl.when(turns).then(1).when((histogram < 0) & (histogram.shift(1) >= 0)).then(-1)
    return candles""",
    "true range": """
    before = pl.col("close").shift(1)
    parts = [pl.col("high") - pl.col("low"), (pl.col("high") - before).abs(), (pl.col("low") - before).abs()]
    span = pl.max_horizontal(*parts).ewm_mean(alpha=1 / period)
    side = pl.when(pl.col("close") - before > 2 * span).then(1).when(before - pl.col("close") > 2 * span).then(-1)
    return candles""",
    "several lengths": """
    votes = [(pl.col("close") > pl.col("close").rolling_mean(length)).cast(pl.Int8) for length in (8, 16, 32, 64)]
    score = pl.sum_horizontal(votes)
    side = pl.when(score == 4).then(1).when(score == 0).then(-1)
    return candles""",
    "a loop over lags": """
    falls = pl.lit(True)
    for lag in range(1, min(period, 20)):
        falls = falls & (pl.col("close").shift(lag - 1) < pl.col("close").shift(lag))
    side = pl.when(falls).then(1)
    return candles""",
    "hours of the day": """
    hour = pl.from_epoch("time", time_unit="ms").dt.hour()
    side = pl.when(hour.is_in([8, 13, 14]) & (pl.col("close") > pl.col("open"))).then(1)
    return candles""",
    "stochastic": """
    low, high = pl.col("low").rolling_min(period), pl.col("high").rolling_max(period)
    k = ((pl.col("close") - low) / (high - low)).rolling_mean(3)
    side = pl.when((k < 0.2) & (k > k.shift(1))).then(1).when((k > 0.8) & (k < k.shift(1))).then(-1)
    return candles""",
    "a plain condition": """
    if period > 20:
        average = pl.col("close").ewm_mean(span=period)
    else:
        average = pl.col("close").rolling_median(period)
    side = pl.when(pl.col("close") > average * (1 + math.sqrt(period) / 1000)).then(-1)
    return candles""",
    "columns by name": """
    names = {f"mean_{length}": pl.col("close").rolling_mean(length) for length in (5, 10)}
    candles = candles.with_columns(**names)
    side = pl.when(pl.col("mean_5") > pl.col("mean_10")).then(1).otherwise(None)
    return candles""",
    "hourly trend": """
    hourly = resample(candles, "1h").select("time", trend=pl.col("close").pct_change(4))
    candles = candles.join_asof(hourly, on="time", strategy="backward")
    side = (pl.when(pl.col("trend") > 0.01).then(1).when(pl.col("trend") < -0.01).then(-1))
    return candles""",
}
_HEAD = (
    '"""A draft."""\n\nimport math\n\nimport polars as pl\n\nfrom backtestkit_cli import resample\n\nLENGTH = 14\n\n\n'
    'def call(candles: pl.LazyFrame, *, period: int = 14, mode: str = "a") -> pl.LazyFrame:\n    """Trade."""'
)
_HELPER = """import polars as pl


def mean(column: str, length: int) -> pl.Expr:
    return pl.col(column).rolling_mean(length)


def call(candles: pl.LazyFrame, *, fast: int = 5, slow: int = 20) -> pl.LazyFrame:
    side = pl.when(mean("close", fast) > mean("close", slow)).then(1)
    return candles"""

_OTHERS = re.compile(r"^(import|from) (?!polars|math|backtestkit_cli)|(read|scan)_(csv|parquet)|\._", re.MULTILINE)


def _ours() -> dict[str, str]:
    """Our own examples, and the strategies of our tests that keep to polars and open no file."""
    tests = _ROOT / "tests" / "data"
    texts = {str(path): path.read_text() for path in sorted((_ROOT / "strategies").glob("*.py"))}
    for folder in (tests / "lookahead" / "clean", tests / "lookahead" / "bugs", tests / "forms" / "strategies"):
        found = {str(path): path.read_text() for path in sorted(folder.glob("*.py"))}
        texts |= {name: text for name, text in found.items() if not _OTHERS.search(text)}
    for page in ("README.md", "docs/how-to.md", "docs/tutorial.md"):
        for number, text in enumerate(re.findall(r"```python\n(.*?)```", (_ROOT / page).read_text(), re.DOTALL)):
            if re.search(r"^def \w+\((market|candles)", text, re.MULTILINE) and "Kit" not in text:
                texts[f"{page} {number}"] = text
    return texts


HONEST: dict[str, str] = {
    **_ours(),
    **{name: f"{_HEAD}{body}{_END}" for name, body in _BODIES.items()},
    "a function of its own": f"{_HELPER}{_END}",
}
