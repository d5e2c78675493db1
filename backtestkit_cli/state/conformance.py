"""Whether a table keeps the promises of its port: the same checks for ours and for anybody's.

* Each check asks a table made anew, as another program would, and yields what it found.
* It writes records of a kind of its own, and takes them away again; what live sessions keep is not touched.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from functools import partial

from backtestkit_cli.errors import Problem, Source, UsageError
from backtestkit_cli.plugins.conformance import Findings
from backtestkit_cli.plugins.suites import found_by
from backtestkit_cli.state.table import NO_GENERATIONS, Generations, InUseError, Table

KIND, OTHER_KIND = "conformance", "conformance-2"
KEYS = ("a", "A", "a b", "a_b", "a%b", "a:b", "a.b$c", "a/../b", "ä€😀", "long " * 40)
PAYLOADS = (bytes(range(256)) * 40, b"\n", b"x" * 200_000)

Make = Callable[[], Table]
Elsewhere = Callable[[], AbstractContextManager[object]]
"""While it is entered another process holds the state; it is killed, by `kill -9`, at the end."""


def check_table(make: Make, elsewhere: Elsewhere, place: Source) -> list[Problem]:
    """Check a table that nobody holds."""
    found: list[Problem] = []
    for check in (_records, _keys, _pairs, _aside, _lock):
        found += found_by(place, partial(check, make))
    found += found_by(place, lambda: _death(make, elsewhere))
    return found + found_by(place, lambda: _left(make))


def _records(make: Make) -> Findings:
    if make().read(KIND, "never written") != NO_GENERATIONS:
        yield "read", "it gives generations of a record that nobody ever wrote"
    for payload in PAYLOADS:
        for pair in (Generations(payload, None), Generations(payload, b"before"), Generations(None, payload)):
            make().write(KIND, "a", pair)
            if make().read(KIND, "a") != pair:
                yield "read", f"it gives other bytes than were written: a record of {len(payload)} bytes"
                return


def _keys(make: Make) -> Findings:
    for key in KEYS:
        make().write(KIND, key, Generations(key.encode(), None))
    mixed = [key for key in KEYS if make().read(KIND, key) != Generations(key.encode(), None)]
    if mixed:
        yield "key", f"it does not tell the key {mixed[0]!r} from others"
    if sorted(make().keys(KIND)) != sorted(KEYS):
        yield "keys", f"it names the keys {sorted(make().keys(KIND))}, and {sorted(KEYS)} were written"
    if make().keys(OTHER_KIND) or make().read(OTHER_KIND, "a") != NO_GENERATIONS:
        yield "kind", "it does not tell one kind from another"


def _pairs(make: Make) -> Findings:
    for number in range(20):
        make().write(KIND, "a", Generations(b"%d" % (number + 1), b"%d" % number))
    if make().read(KIND, "a") != Generations(b"20", b"19"):
        yield "read", "it does not give the pair that was written last"
    make().write(KIND, "a", NO_GENERATIONS)
    if "a" in make().keys(KIND) or make().read(KIND, "a") != NO_GENERATIONS:
        yield "keys", "it still names a record that has no generation any more"


def _aside(make: Make) -> Findings:
    pair = Generations(b"current", b"previous")
    make().write(KIND, "a", pair)
    for _ in range(2):
        make().set_aside(KIND, "a", b"damaged")
    if make().read(KIND, "a") != pair:
        yield "aside", "what it puts aside changes the record"


def _lock(make: Make) -> Findings:
    words = []
    with make().held():
        if _can_be_held(make()):
            yield "lock", "it lets a second program hold it"
    for _ in range(2):
        if make().holder() is not None:
            yield "holder", "it names a holder while nobody holds it"
        with make().held():
            holder = make().holder()
            if holder is None or holder.process != os.getpid():
                yield "holder", f"it names {holder} as its holder, not process {os.getpid()}"
            words.append(holder.word if holder else "")
            make().write(KIND, "a", Generations(b"a word for the holder", None))
    if not all(words) or words[0] == words[1]:
        yield "holder", "its holders have no word, or the same twice"
    with suppress(_EndedError), make().held():
        raise _EndedError
    if make().holder() is not None:
        yield "lock", "it stays held by a session that ended with an error"


def _death(make: Make, elsewhere: Elsewhere) -> Findings:
    with elsewhere():
        if make().holder() is None:
            yield "holder", "it names no holder while another process holds it"
        if _can_be_held(make()):
            yield "lock", "it lets a second process hold it"
    if not _can_be_held(make()):
        yield "lock", "it stays held by a process that was killed"


def _left(make: Make) -> Iterator[tuple[str, str]]:
    """Take away what the checks wrote."""
    for key in make().keys(KIND):
        make().write(KIND, key, NO_GENERATIONS)
    if make().keys(KIND):
        yield "keys", "it still names records that have no generation any more"


def _can_be_held(table: Table) -> bool:
    """Whether it can be held just now."""
    try:
        with table.held():
            return True
    except (InUseError, UsageError):
        return False


class _EndedError(Exception):
    """A session that ends with an error."""
