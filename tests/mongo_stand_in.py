"""What `MongoTable` uses of pymongo, in a file that several processes share: each step is whole, as on the server.

Filters are equal fields; updates are `$set` and `$unset` of dotted places. The clock of the server is ours.
"""

import fcntl
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymongo import ReadPreference, WriteConcern
from pymongo.errors import DuplicateKeyError

from backtestkit_cli.state.mongo_table import MongoTable

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Updated:
    """The answer to an update."""

    matched_count: int


@dataclass(frozen=True, slots=True)
class StandIn:
    """A client, its database and, by name, a collection."""

    path: Path
    name: str = ""

    def close(self) -> None:
        """Nothing stays open."""

    def get_default_database(self) -> "StandIn":
        """The database."""
        return self

    def command(self, name: str) -> Document:
        """The clock."""
        assert name == "hello"
        return {"localTime": datetime.now(UTC)}

    def get_collection(self, name: str, *, write_concern: Any, read_concern: Any, read_preference: Any) -> "StandIn":
        """A collection; nobody asks for one that answers before it is safe."""
        assert write_concern == WriteConcern(w="majority", j=True)
        assert read_concern.level == "majority"
        assert read_preference == ReadPreference.PRIMARY
        return StandIn(self.path, name)

    def find_one(self, wanted: Document, projection: Document | None = None) -> Document | None:
        """The first document that fits, cut down to one place."""
        with self._documents() as documents:
            found = next((one for one in documents if _fits(one, wanted)), None)
        if found is None or projection is None:
            return deepcopy(found)
        (place,) = projection
        cut: Document = {"_id": found["_id"]}
        inner, known = cut, found
        *folders, last = place.split(".")
        for name in folders:
            if name not in known:
                return cut
            inner[name] = {}
            inner, known = inner[name], known[name]
        if last in known:
            inner[last] = deepcopy(known[last])
        return cut

    def insert_one(self, document: Document) -> None:
        """Add a document."""
        with self._documents() as documents:
            if "_id" in document and any(one["_id"] == document["_id"] for one in documents):
                raise DuplicateKeyError("E11000 duplicate key")
            documents.append({"_id": len(documents), **deepcopy(document)})

    def update_one(self, wanted: Document, change: Document, *, upsert: bool = False) -> Updated:
        """Change the first document that fits."""
        with self._documents() as documents:
            found = next((one for one in documents if _fits(one, wanted)), None)
            if found is None and upsert:
                documents.append(found := dict(wanted))
            if found is None:
                return Updated(0)
            for place, value in change.get("$set", {}).items():
                _folder(found, place)[place.rpartition(".")[2]] = deepcopy(value)
            for place in change.get("$unset", {}):
                _folder(found, place).pop(place.rpartition(".")[2], None)
        return Updated(1)

    def delete_one(self, wanted: Document) -> None:
        """Remove the first document that fits."""
        with self._documents() as documents:
            documents[:] = [one for one in documents if not _fits(one, wanted)]

    @contextmanager
    def _documents(self) -> Iterator[list[Document]]:
        """The documents of the collection, kept when the step is over."""
        with (self.path / f"{self.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = self.path / self.name
            documents = pickle.loads(kept.read_bytes()) if kept.exists() else []
            yield documents
            new = kept.with_suffix(".new")
            new.write_bytes(pickle.dumps(documents))
            new.replace(kept)


def _fits(document: Document, wanted: Document) -> bool:
    return all(document.get(name) == value for name, value in wanted.items())


def _folder(document: Document, place: str) -> Document:
    """The inner document that holds the last part of a place."""
    for name in place.split(".")[:-1]:
        document = document.setdefault(name, {})
    return document


class MongoOnStandIn(MongoTable):
    """A table whose server is a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__("mongodb://localhost/state", "mongodb://localhost/state", 0)
        self._folder = folder

    def _connected(self) -> Any:
        return StandIn(self._folder)
