"""The original engine, quirk by quirk, so that recorded results of it can be compared bit for bit.

Nothing outside of this room knows these rules, and no policy of ours follows them. What differs from `engine.step`:

* Windows are lists that a source answers to (since, limit). They hold the candle that opens at the asked time, so a
  price knows one minute of the future and larger candles know more (`exchange`). A limit of one cannot be asked.
* Frames include their end, which is capped to the last midnight; ticks are not aligned (`exchange`).
* Decisions are throttled since the last call, whatever came of it; a given price that the market already beats is
  filled as given; risk is asked before the draft is validated, and again before it opens (`tick`, `signals`).
* Live ticks (`tick`): levels, expiry and waiting entries are judged by the price of the tick, expiry first. A
  waiting entry whose stop is reached goes away in silence. A stopped strategy no longer watches its position.
* Backtests (`fast_path`): once opened or scheduled, a signal is followed over one list of candles to its end. The first
  candles are skipped by index, the entry candle is tested again, take profit wins over stop, the first minutes after
  an activation are not tested, an activation is no event, a market entry expires one minute early.
* Live streams take up what was stored before their first tick and write each change, as documents (`restore`,
  `documents`, `stores`). Positions of risk profiles and the levels of signals are stored too, each on its own.
* How long an entry waits is one setting; a draft's own wait is not looked at.
* The tick at or after a close is skipped; a failed step goes on at the next tick (`loop`).
* An activation that risk refuses is reported as an error; simulated time then goes back (`fast_path`, `loop`).
* Streams that share risk profiles advance in simulated time, at equal times closes first (`loop`).

Everything is pure: candles, decisions, ids, stored documents and the present time are arguments.
"""
