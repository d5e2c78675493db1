"""One nursery for all tests of a worker: it imports the program once."""

from collections.abc import Iterator

import pytest

from crash.lives import Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with Nursery() as running:
        yield running
