"""Who calls, and what its policy allows: kept in memory for a moment, a policy once.

Within that moment a revoked key may still be refused like any other, but nothing is accepted from
it: settle asks PostgreSQL whether the application is still what this process knows (promise 9).
"""

import asyncio
import hashlib
from datetime import timedelta
from uuid import UUID

import msgspec

from contracts.callers import caller_from
from contracts.policy import ApplicationState
from libs.postgres.pool import Pool, tenant_transaction
from libs.web.api_keys import KeyParts, read_api_key
from libs.web.callers import Caller
from services.verification.domain.decision import Policy
from services.verification.entries import KnownCaller
from services.verification.store.policies import policy_of

_KEPT = timedelta(seconds=1)
_MOST_KEPT = 10_000
# Keys that nobody knows here must not keep those waiting who are read again every second.
_MOST_STRANGERS = 32
_LONGEST_READ = timedelta(seconds=2)


class Known(msgspec.Struct, frozen=True):
    """A caller, the version of its application's state, and its policy if that has arrived."""

    caller: Caller
    version: int
    policy: Policy | None

    def as_caller(self, policy: Policy) -> KnownCaller:
        """Return what settle compares with PostgreSQL."""
        caller = self.caller
        return KnownCaller(caller.tenant_id, caller.application_id, self.version, policy.version)


class Directory:
    """Finds callers by the Authorization header; one read a second and key."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._strangers: set[asyncio.Task[Known | None]] = set()
        self._kept: dict[bytes, tuple[float, asyncio.Task[Known | None]]] = {}
        # With many rules a policy takes a megabyte, and an application may have many keys.
        self._policies: dict[tuple[UUID, UUID], Policy] = {}

    async def known(self, authorization: str) -> Known | None:
        """Return who sent this header, or None where no key in force is in it.

        Raises TimeoutError, or what PostgreSQL raises.
        """
        kind, _, text = authorization.partition(" ")
        if kind.lower() != "bearer":
            return None
        # By digest, so that no key lies about in memory.
        digest = hashlib.sha256(text.encode()).digest()
        until, reading = self._kept.get(digest, (0.0, None))
        if reading is None or until <= asyncio.get_running_loop().time():
            parts = read_api_key(text)
            if parts is None:
                return None
            if len(self._strangers) >= _MOST_STRANGERS and reading is None:
                raise TimeoutError("too many unknown keys at once")
            reading = self._begin(digest, parts, known_before=reading is not None)
        if reading.done():
            return reading.result()
        return await asyncio.wait_for(asyncio.shield(reading), _LONGEST_READ.total_seconds())

    def forget(self) -> None:
        """Read everything again: something has changed. Who was known is no stranger by that."""
        self._kept = {digest: (0.0, reading) for digest, (_, reading) in self._kept.items()}

    def _begin(
        self, digest: bytes, parts: KeyParts, *, known_before: bool
    ) -> asyncio.Task[Known | None]:
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
            self._policies.clear()
        until = asyncio.get_running_loop().time() + _KEPT.total_seconds()
        reading = asyncio.create_task(self._read(parts))
        self._kept[digest] = (until, reading)
        reading.add_done_callback(lambda task: self._drop_failed(digest, task))
        if not known_before:
            self._strangers.add(reading)
            reading.add_done_callback(self._strangers.discard)
        return reading

    def _drop_failed(self, digest: bytes, task: asyncio.Task[Known | None]) -> None:
        failed = task.cancelled() or task.exception() is not None or task.result() is None
        if failed and self._kept.get(digest, (0.0, None))[1] is task:
            del self._kept[digest]

    async def _read(self, parts: KeyParts) -> Known | None:
        row = await self._pool.fetchrow(
            "SELECT tenant_id, state FROM application_by_id($1)", str(parts.application_id)
        )
        if row is None:
            return None
        state = ApplicationState.model_validate(row["state"])
        caller = caller_from(state, tenant=row["tenant_id"], parts=parts)
        if caller is None:
            return None
        async with tenant_transaction(self._pool, caller.tenant_id) as tx:
            policy = await policy_of(tx, caller.tenant_id, caller.application_id)
        return Known(caller, state.version, self._kept_once(caller, policy))

    def _kept_once(self, caller: Caller, policy: Policy | None) -> Policy | None:
        place = (caller.tenant_id, caller.application_id)
        if policy is None:
            self._policies.pop(place, None)
            return None
        kept = self._policies.get(place)
        if kept != policy:
            self._policies[place] = kept = policy
        return kept
