"""The reader takes no surprise from YAML, remembers places, and survives hostile text."""

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtestkit_cli.config.read import MAX_BYTES, MAX_DEPTH, Place, read_file, read_text, write_text
from backtestkit_cli.errors import ConfigError

SCALARS: list[tuple[str, Any]] = [
    ("true", True),
    ("false", False),
    ("null", None),
    ("", None),
    ("12", 12),
    ("-3", -3),
    ("0", 0),
    ("-0", 0),
    ("1.10", 1.1),
    ("1e3", 1000.0),
    ("-2.5E-3", -0.0025),
    ("9223372036854775807", 9223372036854775807),
    ("no", "no"),
    ("NO", "NO"),
    ("yes", "yes"),
    ("on", "on"),
    ("Off", "Off"),
    ("y", "y"),
    ("True", "True"),
    ("NULL", "NULL"),
    ("~", "~"),
    ("12:30", "12:30"),
    ("12:30:00", "12:30:00"),
    ("010", "010"),
    ("0o17", "0o17"),
    ("0x1F", "0x1F"),
    ("0b1", "0b1"),
    ("1_000", "1_000"),
    ("1,000", "1,000"),
    ("+5", "+5"),
    (".5", ".5"),
    ("5.", "5."),
    ("1e", "1e"),
    (".nan", ".nan"),
    (".inf", ".inf"),
    ("-.inf", "-.inf"),
    ("nan", "nan"),
    ("2023-01-01", "2023-01-01"),
    ("2023-01-01T10:00:00Z", "2023-01-01T10:00:00Z"),
    ("1.2.3", "1.2.3"),
    ("'12'", "12"),
    ('"true"', "true"),
    ("=", "="),
    ("١٢", "١٢"),
]


def value_of(text: str) -> Any:
    return read_text(f"key: {text}\n", "a.yaml")[0]["key"]


def codes_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_text(text, "a.yaml")
    return [problem.code for problem in caught.value.problems]


@pytest.mark.parametrize(("text", "value"), SCALARS, ids=[repr(text) for text, _ in SCALARS])
def test_a_plain_scalar_is_json_or_text_and_never_a_surprise(text: str, value: Any) -> None:
    found = value_of(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["9" * 5000, "-" + "9" * 100, "1e400", "9223372036854775809", "1" * 60 + ".5e999"])
def test_a_number_that_cannot_be_kept_is_refused(text: str) -> None:
    assert codes_of(f"key: {text}\n") == ["bad-number"]


def test_keys_are_always_text() -> None:
    assert read_text("1: a\ntrue: b\n2023-01-01: c\n", "a.yaml")[0] == {"1": "a", "true": "b", "2023-01-01": "c"}


def test_every_key_and_value_has_its_place() -> None:
    places = read_text("a:\n  - {b: 1}\n  - two\n", "a.yaml")[1].places
    assert places == {
        (): Place((1, 1), (1, 1)),
        ("a",): Place((1, 1), (2, 3)),
        ("a", 0): Place((2, 5), (2, 5)),
        ("a", 0, "b"): Place((2, 6), (2, 9)),
        ("a", 1): Place((3, 5), (3, 5)),
    }


def test_the_place_of_an_unknown_path_is_that_of_its_nearest_ancestor() -> None:
    source = read_text("a:\n  b: 1\n", "x.yaml")[1].source(("a", "b", "c", 3))
    assert (source.file, source.line, source.column) == ("x.yaml", 2, 6)


@pytest.mark.parametrize("mark", ["\ufeff", ""], ids=["with mark", "without mark"])
def test_a_byte_order_mark_is_tolerated(mark: str, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes((mark + "a: ü\r\nb: 2\r\n").encode())
    values, source_map = read_file(file)
    assert values == {"a": "ü", "b": 2}
    assert source_map.places[("b",)].value == (2, 4)


def test_depth_is_limited_exactly() -> None:
    read_text("[" * MAX_DEPTH + "]" * MAX_DEPTH, "a.yaml")
    assert codes_of("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)) == ["too-deep"]


def test_all_faults_that_leave_the_text_readable_are_reported_together() -> None:
    text = "a: &x 1\nb: *x\nc: !t 2\nc: 3\n<<: {}\nd: 1e999\n"
    assert codes_of(text) == ["anchor", "alias", "tag", "duplicate-key", "merge-key", "bad-number"]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "a: &a [x, x]\n" + "".join(f"b{i}: &b{i} [{', '.join([f'*b{i - 1}' if i else '*a'] * 9)}]\n" for i in range(9)),
        "a: " + "9" * 5000,
        '"' + "\\x41" * 50_000,
        "&" * 100_000,
        "? " * 50_000,
        "a: |" + "\n  x" * 10_000 + "\n\t",
        "!" * 10_000,
        "%" * 10_000,
        "a" * 500_000 + ": :",
    ],
    ids=[
        "brackets",
        "braces",
        "dashes",
        "bomb",
        "digits",
        "escapes",
        "anchors",
        "keys",
        "block",
        "tags",
        "per",
        "long",
    ],
)
def test_hostile_text_is_refused_in_little_memory_without_a_crash(text: str, tmp_path: Path) -> None:
    file = tmp_path / "hostile.yaml"
    file.write_text(text, encoding="utf-8")
    answer = in_small_process(file)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("refused")


def in_small_process(file: Path) -> subprocess.CompletedProcess[str]:
    """Read a file in a process with 200 MB of memory."""
    code = (
        "import sys; from pathlib import Path\n"
        "from backtestkit_cli.config.read import read_file; from backtestkit_cli.errors import ConfigError\n"
        "try: read_file(Path(sys.argv[1]))\n"
        "except ConfigError as error: print('refused', error.code)\n"
    )
    limit = 200 * 2**20
    return subprocess.run(
        [sys.executable, "-c", code, str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[3],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )


def test_a_sparse_file_of_one_gigabyte_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    with file.open("wb") as stream:
        stream.truncate(2**30)
    assert in_small_process(file).stdout == "refused file-too-large\n"


def test_a_large_file_is_refused_for_its_size_before_it_is_decoded(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    file.write_text("# " + "€" * 400_000, encoding="utf-8")
    with pytest.raises(ConfigError, match="larger than 1 MB"):
        read_file(file)


def test_text_is_refused_from_one_byte_over_a_megabyte_on() -> None:
    read_text("# " + "x" * (MAX_BYTES - 2), "a.yaml")
    assert codes_of("# " + "x" * (MAX_BYTES - 1)) == ["file-too-large"]


def test_a_folder_a_missing_file_and_a_device_are_refused(tmp_path: Path) -> None:
    for path, code in [
        (tmp_path, "no-file"),
        (tmp_path / "none.yaml", "file-missing"),
        (Path("/dev/zero"), "no-file"),
        (tmp_path / ("x" * 300), "unreadable-file"),
        (Path("a\0b"), "unreadable-file"),
    ]:
        with pytest.raises(ConfigError) as caught:
            read_file(path)
        assert caught.value.code == code


plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
    max_leaves=12,
)


def codes_or_value(text: str) -> tuple[set[str], Any]:
    """Read a text; answer the codes of its problems, or none and the value."""
    try:
        return set(), read_text(text, "a.yaml")[0]
    except ConfigError as error:
        places = [problem.where for problem in error.problems]
        found = {problem.code for problem in error.problems}
    assert all(place is not None and place.file == "a.yaml" and place.line for place in places)
    return found, None


@settings(max_examples=200, deadline=None)
@given(plain_values)
def test_what_is_written_reads_back_equal_or_holds_refused_characters(value: Any) -> None:
    codes, found = codes_or_value(write_text(value))
    assert codes <= {"bad-character"}
    assert codes or found == value


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=200) | st.text(alphabet="{}[]:,-?&*!|>'\"%@`#<= \n\tab1.e\\", max_size=60))
def test_arbitrary_text_is_read_or_refused_with_a_place(text: str) -> None:
    codes_or_value(text)
