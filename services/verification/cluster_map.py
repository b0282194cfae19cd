"""Which master of a Redis Cluster serves which slot."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import ClusterDownError, RedisError

Address = tuple[str, int]
_SCHEME = "+cluster"
_DEFAULT_PORT = 6379
_NOT_AGAIN_WITHIN = timedelta(milliseconds=250)
_LEFT_ALONE = timedelta(milliseconds=500)


def is_cluster(url: str) -> bool:
    """Tell whether the address is a cluster's: redis+cluster:// or rediss+cluster://."""
    return urlsplit(url).scheme.endswith(_SCHEME)


def slot_of(key: str) -> int:
    """Return the slot of a key: of the part in braces, if there is one."""
    return int(key_slot(key.encode()))


class Cluster:
    """The map of slots, learned from whichever node answers and again when one says otherwise.

    `url` names one node; the others are reached with the same credentials and options through
    `connect`. Every method but `aclose` may raise RedisError.
    """

    def __init__(self, url: str, *, connect: Callable[[str], Redis]) -> None:
        self._url = urlsplit(url)
        self._connect = connect
        self._seed = (self._url.hostname or "localhost", self._url.port or _DEFAULT_PORT)
        self._clients: dict[Address, Redis] = {}
        self._masters: dict[int, Address] = {}
        self._learning: asyncio.Task[None] | None = None
        self._learned_at = 0.0
        self._left_alone_until = 0.0

    async def __aenter__(self) -> "Cluster":
        return self

    async def __aexit__(self, *_ending: object) -> None:
        if self._learning is not None:
            self._learning.cancel()
        for client in self._clients.values():
            await client.aclose()

    async def known(self) -> None:
        """Return when it is known who serves what; fails at once for a while after a failure."""
        if self._masters:
            return
        if asyncio.get_running_loop().time() < self._left_alone_until:
            raise ClusterDownError("left alone after a failure")
        await self.learn()

    def master_of(self, slot: int) -> Address:
        """Return who serves a slot."""
        master = self._masters.get(slot)
        if master is None:
            raise ClusterDownError("nobody serves this slot")
        return master

    async def masters(self) -> Sequence[Redis]:
        """Return a client of every master, as of now."""
        await self.learn()
        return [self.client(address) for address in sorted(set(self._masters.values()))]

    def client(self, address: Address) -> Redis:
        """Return the client of a node; the node need not be known yet."""
        client = self._clients.get(address)
        if client is None:
            client = self._clients[address] = self._connect(self._url_of(address))
        return client

    def moved(self, slot: int, address: Address) -> None:
        """Take a node's word that a slot is elsewhere; others have probably moved with it."""
        self._masters[slot] = address
        self.learn_soon()

    def learn_soon(self) -> None:
        """Ask again who serves what, beside what runs, unless that was just done."""
        now = asyncio.get_running_loop().time()
        if now >= self._learned_at + _NOT_AGAIN_WITHIN.total_seconds():
            self._learned_at = now
            self._begin().add_done_callback(_ignore)

    async def learn(self) -> None:
        """Ask the nodes, one after another, until one says who serves what."""
        await asyncio.shield(self._begin())

    def _begin(self) -> asyncio.Task[None]:
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._learn())
        return self._learning

    async def _learn(self) -> None:
        failure: RedisError | None = None
        for address in dict.fromkeys([*self._masters.values(), self._seed, *self._clients]):
            try:
                rows = await self.client(address).execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]
            except RedisError as error:
                failure = error
                continue
            self._masters = {
                slot: (_text(master[0]) or address[0], int(master[1]))
                for first, last, master, *_ in rows
                for slot in range(first, last + 1)
            }
            return
        self._left_alone_until = asyncio.get_running_loop().time() + _LEFT_ALONE.total_seconds()
        raise failure or ClusterDownError("no node is known")

    def _url_of(self, address: Address) -> str:
        host, port = address
        credentials, at, _ = self._url.netloc.rpartition("@")
        bracketed = f"[{host}]" if ":" in host else host
        scheme = self._url.scheme.removesuffix(_SCHEME)
        netloc = f"{credentials}{at}{bracketed}:{port}"
        return urlunsplit((scheme, netloc, self._url.path, self._url.query, ""))


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


def _ignore(task: asyncio.Task[None]) -> None:
    # Asked for, or asyncio would complain that nobody did.
    if not task.cancelled():
        task.exception()
