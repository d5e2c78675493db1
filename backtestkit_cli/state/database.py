"""Live state in a database: the records of the file store, two generations in one row.

A table does single steps, each of them whole and durable when it returns; what a record is, which generation counts
and what damage means is the same for all of them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, Protocol, get_args

from backtestkit_cli.disk import Holder
from backtestkit_cli.errors import Problem, Source, StateError
from backtestkit_cli.state.generations import Generation, Which, generation_of
from backtestkit_cli.state.record import BadRecord, Record, decode, encode


class Generations(NamedTuple):
    """The two newest generations of a record, as bytes; None where there is none."""

    current: bytes | None
    previous: bytes | None


class Table(Protocol):
    """What a database does for live state. `name` stands in messages, `errors` are what it raises."""

    @property
    def name(self) -> str: ...

    @property
    def errors(self) -> tuple[type[Exception], ...]: ...

    def held(self) -> AbstractContextManager[object]:
        """Keep every other program out."""
        ...

    def holder(self) -> Holder | None:
        """Who keeps every other program out just now."""
        ...

    def keys(self, kind: str) -> list[str]:
        """The keys of a kind."""
        ...

    def read(self, kind: str, key: str) -> Generations:
        """Both generations."""
        ...

    def write(self, kind: str, key: str, generations: Generations) -> None:
        """Put both generations in one step."""
        ...

    def set_aside(self, kind: str, key: str, payload: bytes) -> None:
        """Keep a generation that does not count any more."""
        ...


class DatabaseStore:
    """Records by kind and key. `warnings` are told once: which records were damaged, and what took their place.

    Who `is_outside`, while another program may hold it, puts nothing aside.
    """

    def __init__(self, table: Table, now_ms: Callable[[], int], *, is_outside: bool = False) -> None:
        self._is_outside = is_outside
        self.warnings: list[str] = []
        self._table = table
        self._now_ms = now_ms

    @contextmanager
    def held(self) -> Iterator["DatabaseStore"]:
        """Hold the state for this program alone.

        Raises:
            UsageError: another program holds it.
            StateError: the database does not answer.
        """
        with self._table.held():
            yield self

    def holder(self) -> Holder | None:
        """Who holds it just now.

        Raises:
            StateError: the database does not answer.
        """
        found: Holder | None = self._asked("", "its holder", self._table.holder)
        return found

    def keys(self, kind: str) -> tuple[str, ...]:
        """The keys of all records of a kind, in order.

        Raises:
            StateError: the database does not answer.
        """
        return tuple(sorted(self._asked(kind, "its keys", lambda: self._table.keys(kind))))

    def stored_keys(self, kind: str) -> tuple[str, ...]:
        """The keys of all records of a kind, damaged ones too.

        Raises:
            StateError: the database does not answer.
        """
        return self.keys(kind)

    def generations(self, kind: str, key: str) -> tuple[Generation, ...]:
        """Both generations of a record, as far as there are any.

        Raises:
            StateError: the database does not answer.
        """
        payloads = zip(get_args(Which), self._asked(kind, key, lambda: self._table.read(kind, key)), strict=True)
        return tuple(generation_of(which, payload, key) for which, payload in payloads if payload is not None)

    def set_aside(self, kind: str, key: str, which: Which) -> str:
        """Keep a generation where it does not count any more; where that is.

        Raises:
            StateError: the database does not answer.
        """

        def put() -> None:
            known = self._table.read(kind, key)
            self._table.set_aside(kind, key, getattr(known, which) or b"")
            self._table.write(kind, key, known._replace(**{which: None}))

        self._asked(kind, key, put)
        return f"{self._table.name}: aside"

    def load(self, kind: str, key: str) -> dict[str, Any] | None:
        """The body of a record; None where there never was one.

        Raises:
            StateError: it has no good generation, or the database does not answer.
        """
        record = self._newest(kind, key)[0]
        return None if record is None else record.body

    def save(self, kind: str, key: str, body: Mapping[str, Any]) -> None:
        """Keep a body; once this returns it survives a power cut.

        Raises:
            StateError: it could not be written; the record is the old one, or already the new one.
        """
        former, payload = self._newest(kind, key)
        generation = 1 if former is None else former.generation + 1
        new = encode(Record(key=key, generation=generation, saved_at_ms=self._now_ms(), body=dict(body)))
        self._asked(kind, key, lambda: self._table.write(kind, key, Generations(new, payload)))

    def _newest(self, kind: str, key: str) -> tuple[Record | None, bytes | None]:
        """The newest good generation, as a record and as bytes."""
        generations = self._asked(kind, key, lambda: self._table.read(kind, key))
        reasons: list[str] = []
        for payload in generations:
            if payload is None:
                continue
            try:
                record = decode(payload)
                if record.key != key:
                    raise BadRecord(f"it is the record of {record.key}")
            except BadRecord as bad:
                reasons.append(str(bad))
                continue
            if reasons:
                self._set_aside(kind, key, generations, reasons[0])
            return record, payload
        if not reasons:
            return None, None
        what = f"the state of {key} is damaged, and so is its previous generation ({'; '.join(reasons)})"
        hint = "look at the exchange and say what is true with `backtestkit session reconcile`; nothing was deleted"
        raise StateError(Problem("state-damaged", what, Source(file=self._table.name, key=f"{kind} {key}"), hint=hint))

    def _set_aside(self, kind: str, key: str, generations: Generations, reason: str) -> None:
        if self._is_outside:
            self.warnings.append(f"{key}: {reason}; its previous generation counts")
            return

        def put() -> None:
            self._table.set_aside(kind, key, generations.current or b"")
            self._table.write(kind, key, Generations(generations.previous, None))

        self._asked(kind, key, put)
        self.warnings.append(f"{key}: {reason}; it is kept aside, and its previous generation counts")

    def _asked(self, kind: str, key: str, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except self._table.errors as error:
            what = f"the state of {key} could not be reached: {error}"
            hint = "open positions go on in memory; look whether the database works"
            where = Source(file=self._table.name, key=f"{kind} {key}")
            raise StateError(Problem("state-not-saved", what, where, hint=hint)) from error
