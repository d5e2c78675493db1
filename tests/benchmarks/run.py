"""`make bench`: compare with other backtesters on candles of the seed in SEED, and print ratios."""

import os
import sys
from pathlib import Path


def main() -> int:
    """Run the comparison; 1 when something could not run or trades differ from walk."""
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.compare import compare

    return compare(int(os.environ.get("SEED", "1")))


if __name__ == "__main__":
    sys.exit(main())
