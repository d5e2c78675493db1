"""The same functions by TA-Lib, for candles without holes."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def talib_columns(open_: Floats, high: Floats, low: Floats, close: Floats) -> dict[str, Floats]:
    """Values of the cases that TA-Lib knows; NaN before its own start.

    Raises:
        ImportError: TA-Lib is not installed.
    """
    import talib

    macd, signal, _ = talib.MACD(close, 3, 6, 4)
    upper, _, _ = talib.BBANDS(close, 7, 2, 2)
    _, _, lower = talib.BBANDS(close, 7, 1.5, 1.5)
    stoch_k, stoch_d = talib.STOCH(high, low, close, fastk_period=6, slowk_period=3, slowd_period=2)
    columns: dict[str, Floats] = {
        "sma(close, 5)": talib.SMA(close, 5),
        "ema(close, 4)": talib.EMA(close, 4),
        "wma(close, 6)": talib.WMA(close, 6),
        "rsi(close, 5)": talib.RSI(close, 5),
        "macd(close, 3, 6)": macd,
        "macd_signal(close, 3, 6, 4)": signal,
        "atr(5)": talib.ATR(high, low, close, 5),
        "stdev(close, 7)": talib.STDDEV(close, 7, 1),
        "bb_upper(close, 7, 2)": upper,
        "bb_lower(close, 7, 1.5)": lower,
        "highest(high, 9)": talib.MAX(high, 9),
        "lowest(low, 8)": talib.MIN(low, 8),
        "roc(close, 4)": talib.ROC(close, 4),
        "adx(4)": talib.ADX(high, low, close, 4),
        "stoch_k(6, 3)": stoch_k,
        "stoch_d(6, 3, 2)": stoch_d,
    }
    return columns
