"""Live state in one database of a Redis server: a hash of records for each kind, each step one command or script.

Durable only with `appendonly yes` and `appendfsync always`: then the server answers after its disk has. Whether it does
is looked up when the state is taken.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from backtestkit_cli.disk import Holder
from backtestkit_cli.state.lease import Lease, leased
from backtestkit_cli.state.table import Claim, Generations, TakenOverError, own_claim

TIMEOUT_SECONDS = 5.0
LOCK, HOLDER = "backtestkit:lock", "backtestkit:holder"
RECORDS, ASIDE = "backtestkit:records:", "backtestkit:aside:"
WANTED = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
"""Settings of a server that forgets nothing it has answered for."""
_TAKE = """
local left = redis.call('pttl', KEYS[1])
if left > 0 and redis.call('hget', KEYS[2], 'word') ~= ARGV[2] then
  return left
end
redis.call('hset', KEYS[2], 'word', ARGV[2], 'process', ARGV[3], 'host', ARGV[4], 'since_ms', ARGV[5])
redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[1])
return 0
"""
_RENEW = """
if redis.call('hget', KEYS[2], 'word') == ARGV[2] then
  redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[1])
end
"""
_RELEASE = """
if redis.call('hget', KEYS[2], 'word') == ARGV[1] then
  redis.call('del', KEYS[1], KEYS[2])
end
"""
_WRITE = """
if ARGV[1] ~= '' and redis.call('hget', KEYS[2], 'word') ~= ARGV[1] then
  return 0
end
for place = 2, 5, 3 do
  if ARGV[place + 1] == 'there' then
    redis.call('hset', KEYS[1], ARGV[place], ARGV[place + 2])
  else
    redis.call('hdel', KEYS[1], ARGV[place])
  end
end
return 1
"""


class RedisTable:
    """The database that an address names; `name` is that address without who logs in."""

    def __init__(self, url: str, name: str, now_ms: int) -> None:
        import redis

        self.name = name
        self.errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        self._url = url
        self._now_ms = now_ms
        self._connected().close()  # an address that is none is told now
        self._held: Any = None
        self._word = ""

    @contextmanager
    def held(self) -> Iterator[list[str]]:
        """Hold the database for this program, with a lease."""
        claim = own_claim(self._now_ms)
        self._held = self._connected()
        try:
            with leased(self, claim):
                self._word = claim.word
                yield _weaknesses(self._held)
        finally:
            self._held.close()
            self._held, self._word = None, ""

    def holder(self) -> Holder | None:
        """Who has the lease."""
        lease = self._lease()
        return None if lease is None else lease.claim.holder

    def keys(self, kind: str) -> list[str]:
        """The keys of a kind."""
        with self._open() as open_:
            return list({field.decode().partition(":")[2] for field in open_.hkeys(RECORDS + kind)})

    def read(self, kind: str, key: str) -> Generations:
        """Both generations."""
        with self._open() as open_:
            return Generations(*open_.hmget(RECORDS + kind, _fields(key)))

    def write(self, kind: str, key: str, generations: Generations) -> None:
        """Put both generations in one step, if nobody else has taken the state since."""
        parts: list[str | bytes] = []
        for field, payload in zip(_fields(key), generations, strict=True):
            parts += [field, "" if payload is None else "there", payload or b""]
        with self._open() as open_:
            if not open_.eval(_WRITE, 2, RECORDS + kind, HOLDER, self._word, *parts):
                raise TakenOverError

    def set_aside(self, kind: str, key: str, payload: bytes) -> None:
        """Keep a damaged generation."""
        with self._open() as open_:
            open_.rpush(f"{ASIDE}{kind}:{key}", payload)

    def take(self, claim: Claim, lapse_ms: int) -> Lease | None:
        """Take the lease, if it is free."""
        who = (claim.word, claim.process, claim.host, claim.since_ms)
        with self._open() as open_:
            while open_.eval(_TAKE, 2, LOCK, HOLDER, lapse_ms, *who):
                if (lease := self._lease()) is not None:
                    return lease
        return None

    def renew(self, claim: Claim, lapse_ms: int) -> None:
        """Begin the lease anew."""
        with self._open() as open_:
            open_.eval(_RENEW, 2, LOCK, HOLDER, lapse_ms, claim.word)

    def release(self, claim: Claim) -> None:
        """Give the lease back."""
        with self._open() as open_:
            open_.eval(_RELEASE, 2, LOCK, HOLDER, claim.word)

    def _lease(self) -> Lease | None:
        with self._open() as open_:
            both = open_.pipeline(transaction=True)
            left_ms, known = both.pttl(LOCK).hgetall(HOLDER).execute()
        if left_ms <= 0 or not known:
            return None
        word, process, host, since_ms = (known[name].decode() for name in (b"word", b"process", b"host", b"since_ms"))
        return Lease(Claim(word=word, process=int(process), host=host, since_ms=int(since_ms)), int(left_ms))

    @contextmanager
    def _open(self) -> Iterator[Any]:
        """The connections of who holds the state; who only looks leaves none open."""
        if self._held is not None:
            yield self._held
            return
        with closing(self._connected()) as open_:
            yield open_

    def _connected(self) -> Any:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return redis.Redis.from_url(
            self._url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 1),  # the second try finds a server that was started anew
        )


def _fields(key: str) -> tuple[str, str]:
    return f"current:{key}", f"previous:{key}"


def _weaknesses(open_: Any) -> list[str]:
    """What of the server's settings lets it lose what it has answered for."""
    import redis

    try:
        told = open_.config_get("append*", "maxmemory*")
    except redis.ResponseError:
        wanted = ", ".join(f"{name} {value}" for name, value in WANTED.items())
        return [f"Redis does not tell its settings; make sure that they are {wanted}, else a crash may lose positions"]
    known = {name: value for name, value in told.items() if name != "maxmemory-policy" or told["maxmemory"] != "0"}
    return [
        f"Redis has {name} {known[name]}, and may lose positions: CONFIG SET {name} {wanted}, and in redis.conf too"
        for name, wanted in WANTED.items()
        if known.get(name, wanted) != wanted
    ]
