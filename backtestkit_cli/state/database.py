"""Live state in a database: the records of the file store, two generations in one step of a table.

What a record is, which generation counts and what damage means is the same for all tables. What one of them raises
becomes an error of ours, without the secrets that an address holds.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, get_args

from backtestkit_cli.disk import Holder
from backtestkit_cli.errors import BacktestkitError, Problem, Source, StateError, UsageError
from backtestkit_cli.state.generations import Generation, Which, generation_of
from backtestkit_cli.state.record import Record, encode
from backtestkit_cli.state.table import Generations, InUseError, Table, TakenOverError


class DatabaseStore:
    """Records by kind and key. `warnings` are told once: which records were damaged, and what took their place.

    Who `is_outside`, while another program may hold it, puts nothing aside. `clean` masks secrets in messages.
    """

    def __init__(
        self,
        table: Table,
        now_ms: Callable[[], int],
        *,
        is_outside: bool = False,
        clean: Callable[[str], str] = lambda text: text,
    ) -> None:
        self._is_outside = is_outside
        self._clean = clean
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
        stack = ExitStack()
        found = self._asked("", "the session", lambda: stack.enter_context(self._table.held()))
        self.warnings += found or ()
        try:
            yield self
        finally:
            self._asked("", "the session", stack.close)

    def holder(self) -> Holder | None:
        """Who holds it just now.

        Raises:
            StateError: the database does not answer.
        """
        found: Holder | None = self._asked("", "the session", self._table.holder)
        return found

    def keys(self, kind: str) -> tuple[str, ...]:
        """The keys of all records of a kind, in order.

        Raises:
            StateError: the database does not answer.
        """
        return tuple(sorted(self._asked(kind, "the session", lambda: self._table.keys(kind))))

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
        payloads = self._asked(kind, key, lambda: self._table.read(kind, key))
        return tuple(generation_of(which, payload, key) for which, payload in _present(payloads))

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
        faults: list[str] = []
        for which, payload in _present(generations):
            found = generation_of(which, payload, key)
            if found.record is None:
                faults.append(found.fault)
                continue
            if faults:
                self._pass_over(kind, key, faults[0])
            return found.record, payload
        if not faults:
            return None, None
        what = f"the state of {key} is damaged, and so is its previous generation ({'; '.join(faults)})"
        hint = "look at the exchange and say what is true with `backtestkit session reconcile`; nothing was deleted"
        raise StateError(Problem("state-damaged", what, self._where(kind, key), hint=hint))

    def _pass_over(self, kind: str, key: str, fault: str) -> None:
        """Let the previous generation count in the place of a damaged one."""
        if self._is_outside:
            self.warnings.append(f"{key}: {fault}; its previous generation counts")
            return
        self.set_aside(kind, key, "current")
        self.warnings.append(f"{key}: {fault}; it is kept aside, and its previous generation counts")

    def _asked(self, kind: str, key: str, ask: Callable[[], Any]) -> Any:
        where = self._where(kind, key)
        try:
            return ask()
        except BacktestkitError:
            raise
        except InUseError as error:
            what, hint = "another program works with this state", "wait until it has finished, or stop it"
            raise UsageError(Problem("state-in-use", what, where, found=str(error) or None, hint=hint)) from None
        except TakenOverError:
            what = "another program has taken the state over while this one could not be reached"
            hint = "only one may go on; `backtestkit session status` shows what it holds"
            raise StateError(Problem("state-taken-over", what, where, hint=hint)) from None
        except self._table.errors as error:
            told = self._clean(" ".join(str(error).split()) or type(error).__name__)
            what = f"the state of {key} could not be reached: {told}"
            hint = "open positions go on in memory; look whether the database works"
            raise StateError(Problem("state-not-saved", what, where, hint=hint)) from None

    def _where(self, kind: str, key: str) -> Source:
        return Source(file=self._table.name, key=f"{kind} {key}".strip() or None)


def _present(generations: Generations) -> Iterator[tuple[Which, bytes]]:
    for which, payload in zip(get_args(Which), generations, strict=True):
        if payload is not None:
            yield which, payload
