"""`python -m loopback`: the loopback exchange in a process of its own, until it is interrupted."""

import argparse
import signal
import sys

from loopback.clock import FakeClock
from loopback.faults import fault_from
from loopback.server import LoopbackExchange


def main() -> int:
    """Print the URL, then serve."""
    parser = argparse.ArgumentParser(prog="loopback", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=7, help="of the made candles")
    parser.add_argument("--now", type=int, help="stop the exchange's clock at this time, UTC ms")
    parser.add_argument("--fault", action="append", default=[], metavar="KEY=VALUE,…", help="kind=http_500;count=2")
    parser.add_argument("--balance", action="append", default=[], metavar="ASSET=AMOUNT", help="of the account")
    parser.add_argument("--drip", type=float, default=0.1, help="seconds from byte to byte of an answer that drips")
    options = parser.parse_args()
    clock = None if options.now is None else FakeClock(options.now)
    faults = [fault_from(dict(part.split("=", 1) for part in text.split(";"))) for text in options.fault]
    balances = dict(text.split("=", 1) for text in options.balance) or None
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with LoopbackExchange(
        port=options.port, clock=clock, seed=options.seed, faults=faults, balances=balances
    ) as exchange:
        exchange.drip_seconds = options.drip
        print(exchange.url, flush=True)
        signal.sigwait(signals)
    return 0


if __name__ == "__main__":
    sys.exit(main())
