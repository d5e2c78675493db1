"""Lines that outlive a crash."""

import math
from pathlib import Path

from backtestkit_cli.run.sealed_lines import sealed, sealed_lines


def test_whole_lines_are_read_and_broken_ones_left_out(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    first, second = sealed({"worth": math.inf}), sealed({"worth": 1.5})
    path.write_bytes(first + second[:-4] + b"\n" + second.replace(b"1.5", b"2.5") + second)
    assert list(sealed_lines(path)) == [{"worth": math.inf}, {"worth": 1.5}]
    assert list(sealed_lines(tmp_path / "none")) == []
