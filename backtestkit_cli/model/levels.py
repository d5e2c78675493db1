"""Levels for user code: how far a price has come to the take profit or the stop loss, in percent of the way.

Nothing in the engine uses them; it tells of every tenth of the way.
"""

from typing import Final

TP_LEVEL1: Final = 30
TP_LEVEL2: Final = 60
TP_LEVEL3: Final = 90
SL_LEVEL1: Final = 40
SL_LEVEL2: Final = 80
