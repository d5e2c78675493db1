"""Where the shared folder of vectors and real candles is, if this machine has it."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("BACKTESTKIT_SHARED") or ROOT.parent / "shared")

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the shared folder of vectors and real candles is not on this machine"
)
