"""Live state in one MongoDB database: all records in one document, for only one document changes in one step.

* A write is answered for by the majority of the servers, with their journals.
* The document has the word of who took the state last, and each write of a holder asks for it. The lease is a document
  of its own, by the clock of the server.
* One document is at most 16 MB: thousands of streams are too many for it, and are refused by the server.

Tested against a stand-in only: no MongoDB server was there.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from backtestkit_cli.disk import Holder
from backtestkit_cli.state.lease import Lease, leased
from backtestkit_cli.state.table import NO_GENERATIONS, Claim, Generations, TakenOverError, own_claim

TIMEOUT_MS = 5000
COLLECTION, ASIDE = "backtestkit", "backtestkit_aside"
STATE, HOLDER = {"_id": "state"}, {"_id": "holder"}
UNTRIED = "state in MongoDB was tested against a stand-in only: try `backtestkit check --plugin mongo` on your server"


class MongoTable:
    """The database that an address names; `name` is that address without who logs in.

    Raises:
        ValueError: it is no address of MongoDB, or names no database.
    """

    def __init__(self, url: str, name: str, now_ms: int) -> None:
        from pymongo import errors, uri_parser

        self.name = name
        self.errors: tuple[type[Exception], ...] = (errors.PyMongoError, OSError)
        self._url = url
        self._now_ms = now_ms
        self._held: Any = None
        self._word = ""
        if url.startswith("mongodb://"):  # the other form is looked up in the network
            try:
                has_database = bool(uri_parser.parse_uri(url)["database"])
            except errors.PyMongoError:
                has_database = False
            if not has_database:
                raise ValueError("no address of a database of MongoDB")

    @contextmanager
    def held(self) -> Iterator[list[str]]:
        """Hold the database for this program, with a lease."""
        claim = own_claim(self._now_ms)
        self._held = self._connected()
        try:
            with leased(self, claim):
                self._word = claim.word
                yield [UNTRIED]
        finally:
            self._held.close()
            self._held, self._word = None, ""

    def holder(self) -> Holder | None:
        """Who has the lease."""
        with self._open() as open_:
            found = _collection(open_).find_one(HOLDER)
            is_held = found is not None and found["lapses_ms"] > _server_ms(open_)
        return _claim_of(found).holder if is_held else None

    def keys(self, kind: str) -> list[str]:
        """The keys of a kind."""
        return [str(record["key"]) for record in self._records(_field(kind)).values()]

    def read(self, kind: str, key: str) -> Generations:
        """Both generations."""
        record = self._records(_field(kind), _field(key)).get(_field(key))
        return NO_GENERATIONS if record is None else Generations(record["current"], record["previous"])

    def write(self, kind: str, key: str, generations: Generations) -> None:
        """Put both generations in one step, if nobody else has taken the state since."""
        place = f"records.{_field(kind)}.{_field(key)}"
        change: dict[str, Any] = {"$set": {place: {"key": key, **generations._asdict()}}}
        if generations == NO_GENERATIONS:
            change = {"$unset": {place: ""}}
        with self._open() as open_:
            if not self._word:
                _collection(open_).update_one(STATE, change, upsert=True)
            elif not _collection(open_).update_one({**STATE, "word": self._word}, change).matched_count:
                raise TakenOverError

    def set_aside(self, kind: str, key: str, payload: bytes) -> None:
        """Keep a damaged generation."""
        with self._open() as open_:
            _collection(open_, ASIDE).insert_one({"kind": kind, "key": key, "payload": payload})

    def take(self, claim: Claim, lapse_ms: int) -> Lease | None:
        """Take the lease, if it is free."""
        from pymongo.errors import DuplicateKeyError

        with self._open() as open_:
            now_ms, known = _server_ms(open_), _collection(open_).find_one(HOLDER)
            told = {name: getattr(claim, name) for name in Claim.__slots__} | {"lapses_ms": now_ms + lapse_ms}
            if known is None:
                try:
                    _collection(open_).insert_one({**HOLDER, **told})
                except DuplicateKeyError:
                    return self.take(claim, lapse_ms)
            elif known["word"] != claim.word and known["lapses_ms"] > now_ms:
                return Lease(_claim_of(known), known["lapses_ms"] - now_ms)
            elif not _collection(open_).update_one(known, {"$set": told}).matched_count:
                return self.take(claim, lapse_ms)
            _collection(open_).update_one(STATE, {"$set": {"word": claim.word}}, upsert=True)
        return None

    def renew(self, claim: Claim, lapse_ms: int) -> None:
        """Begin the lease anew."""
        with self._open() as open_:
            lapses = {"$set": {"lapses_ms": _server_ms(open_) + lapse_ms}}
            _collection(open_).update_one({**HOLDER, "word": claim.word}, lapses)

    def release(self, claim: Claim) -> None:
        """Give the lease back."""
        with self._open() as open_:
            _collection(open_).update_one({**STATE, "word": claim.word}, {"$set": {"word": ""}})
            _collection(open_).delete_one({**HOLDER, "word": claim.word})

    def _records(self, *place: str) -> dict[str, Any]:
        """The records of a kind, all or one, by field."""
        with self._open() as open_:
            found: Any = _collection(open_).find_one(STATE, {".".join(("records", *place)): 1}) or {}
        return dict(found.get("records", {}).get(place[0], {}))

    @contextmanager
    def _open(self) -> Iterator[Any]:
        """The connections of who holds the state; who only looks leaves none open."""
        if self._held is not None:
            yield self._held
            return
        with closing(self._connected()) as open_:
            yield open_

    def _connected(self) -> Any:
        from pymongo import MongoClient

        limits: Any = {"timeoutMS": TIMEOUT_MS, "serverSelectionTimeoutMS": TIMEOUT_MS, "connectTimeoutMS": TIMEOUT_MS}
        return MongoClient(self._url, appname="backtestkit", tz_aware=True, **limits)


def _collection(open_: Any, name: str = COLLECTION) -> Any:
    from pymongo import ReadPreference, WriteConcern
    from pymongo.read_concern import ReadConcern

    return open_.get_default_database().get_collection(
        name,
        write_concern=WriteConcern(w="majority", j=True),
        read_concern=ReadConcern("majority"),
        read_preference=ReadPreference.PRIMARY,
    )


def _server_ms(open_: Any) -> int:
    told = open_.get_default_database().command("hello")["localTime"]
    return int((told - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1))


def _claim_of(found: dict[str, Any]) -> Claim:
    return Claim(**{name: found[name] for name in Claim.__slots__})


def _field(text: str) -> str:
    """A text as the name of a field; it may not begin with a dollar or have a dot."""
    return "_" + quote(text, safe="").replace(".", "%2E")
