"""Script calls on a Redis Cluster: each goes to the master of its key's slot.

All keys of one command must be in one slot, so a batch is one command a script and slot, in one
pipeline a master. A master that is slow or dead holds up its own slots only: the others have lanes
of their own, and what belongs to it is judged from PostgreSQL until its replica has taken over.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import msgspec
from redis.asyncio import Redis
from redis.exceptions import (
    AskError,
    MovedError,
    NoScriptError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from libs.batching import Batches
from services.verification.cluster_map import Address, Cluster, slot_of
from services.verification.redis_line import Argument
from services.verification.script_calls import CacheDown
from services.verification.scripts import ALL, Script

_LARGEST = 512
_LEFT_ALONE = timedelta(milliseconds=500)
# From the old master to the new one, and once more where it moved again meanwhile.
_MOST_HOPS = 3


class _Call(msgspec.Struct, frozen=True):
    script: Script
    slot: int
    key: str
    arguments: Sequence[Argument]


_Group = list[tuple[int, _Call]]


class ClusterCalls:
    """Calls scripts like ScriptCalls; `first` are the arguments before those of the keys."""

    def __init__(self, cluster: Cluster, *, first: dict[Script, Sequence[Argument]]) -> None:
        self._cluster = cluster
        self._first = first
        self._lanes: dict[Address, _Lane] = {}

    async def call(self, script: Script, key: str, arguments: Sequence[Argument]) -> object:
        """Return what the script answered for this key; raises CacheDown."""
        call = _Call(script, slot_of(key), key, arguments)
        try:
            await self._cluster.known()
            return await self._lane(self._cluster.master_of(call.slot)).do(call)
        except RedisError as error:
            raise CacheDown(type(error).__name__) from None

    def begin(self, script: Script, key: str, arguments: Sequence[Argument]) -> None:
        """Call a script without waiting for it; best effort."""
        call = _Call(script, slot_of(key), key, arguments)
        with suppress(RedisError):
            self._lane(self._cluster.master_of(call.slot)).begin(call)

    async def drained(self) -> None:
        """Return when nothing is under way."""
        for lane in list(self._lanes.values()):
            await lane.drained()

    def _lane(self, address: Address) -> "_Lane":
        lane = self._lanes.get(address)
        if lane is None:
            lane = self._lanes[address] = _Lane(self._cluster, address, self._first)
        return lane


class _Lane:
    """What goes to one master."""

    def __init__(
        self, cluster: Cluster, address: Address, first: dict[Script, Sequence[Argument]]
    ) -> None:
        self._cluster = cluster
        self._address = address
        self._first = first
        self._left_alone_until = 0.0
        self._batches: Batches[_Call, object] = Batches(self._send, largest=_LARGEST)

    async def do(self, call: _Call) -> object:
        if asyncio.get_running_loop().time() < self._left_alone_until:
            raise CacheDown("left alone after a failure")
        return await self._batches.do(call)

    def begin(self, call: _Call) -> None:
        self._batches.begin(call)

    async def drained(self) -> None:
        await self._batches.drained()

    async def _send(self, calls: list[_Call]) -> list[object]:
        groups: dict[tuple[int, int], _Group] = {}
        # What was to be told goes first, and each script's calls stay in their order.
        for n, call in sorted(enumerate(calls), key=lambda one: one[1].script.rank):
            groups.setdefault((call.script.rank, call.slot), []).append((n, call))
        answers: list[object] = [None] * len(calls)
        try:
            await self._answer(list(groups.values()), answers)
        except RedisError:
            # Whoever asks next need not wait until this is noticed again; and there may be
            # another master by now.
            self._left_alone_until = asyncio.get_running_loop().time() + _LEFT_ALONE.total_seconds()
            self._cluster.learn_soon()
            raise
        return answers

    async def _answer(self, groups: list[_Group], answers: list[object]) -> None:
        address, asking = self._address, False
        for _ in range(_MOST_HOPS):
            replies = await self._run(address, groups, asking=asking)
            elsewhere: dict[tuple[Address, bool], list[_Group]] = {}
            for group, reply in zip(groups, replies, strict=True):
                target = self._redirected(address, reply)
                if target is None:
                    _note(group, reply, answers)
                    continue
                # In a slot that is moving each key is where it is: one command each.
                elsewhere.setdefault(target, []).extend([one] for one in group)
            if not elsewhere:
                return
            # Rare, and mostly one place: the rest is sent round again.
            (address, asking), groups = elsewhere.popitem()
            for (other, ask), rest in elsewhere.items():
                for group, reply in zip(
                    rest, await self._run(other, rest, asking=ask), strict=True
                ):
                    _note(group, reply, answers)
        for group in groups:
            _note(group, ResponseError("moved too often"), answers)

    def _redirected(self, asked: Address, reply: object) -> tuple[Address, bool] | None:
        match reply:
            case AskError():
                return (reply.host, reply.port), True
            case MovedError():
                self._cluster.moved(reply.slot_id, (reply.host, reply.port))
                return (reply.host, reply.port), False
            case TryAgainError():
                return asked, False
        return None

    async def _run(self, address: Address, groups: list[_Group], *, asking: bool) -> list[object]:
        redis = self._cluster.client(address)
        commands = [self._command([call for _, call in group]) for group in groups]
        replies = await _pipeline(redis, commands, asking=asking)
        unknown = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            # Each master keeps its own scripts. One that it does not know has done nothing.
            for script in ALL:
                await redis.script_load(script.text)
            again = await _pipeline(redis, [commands[n] for n in unknown], asking=asking)
            for n, reply in zip(unknown, again, strict=True):
                replies[n] = reply
        return replies

    def _command(self, calls: list[_Call]) -> list[Argument]:
        script = calls[0].script
        command: list[Argument] = ["EVALSHA", script.digest, len(calls)]
        command += [one.key for one in calls]
        command += self._first.get(script, ())
        for one in calls:
            command += one.arguments
        return command


def _note(group: _Group, reply: object, answers: list[object]) -> None:
    for place, (n, _) in enumerate(group):
        answers[n] = reply[place] if isinstance(reply, list) else reply


async def _pipeline(redis: Redis, commands: list[list[Argument]], *, asking: bool) -> list[object]:
    pipe = redis.pipeline(transaction=False)
    for command in commands:
        if asking:
            # Counts for the next command of this connection only.
            pipe.execute_command("ASKING")
        pipe.execute_command(*command)
    replies: list[object] = await pipe.execute(raise_on_error=False)
    return replies[1::2] if asking else replies
