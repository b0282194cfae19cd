"""Subjects come, change and go."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from contracts.policy import Change
from libs.clock import Clock
from libs.ids import new_id
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.callers import Caller
from services.policy.announcements import application_state, subject_changed
from services.policy.domain.application import Application
from services.policy.domain.refusals import Refusal, SubjectExists
from services.policy.domain.subject import (
    Attributes,
    Personal,
    Subject,
    SubjectChange,
    changed_subject,
    erased_subject,
)
from services.policy.gateways import Keepers
from services.policy.store.announcements import announce_all
from services.policy.store.readiness import forget_readiness
from services.policy.store.subjects import (
    Digests,
    StoredSubject,
    add_subject,
    erase_subject,
    find_subject,
    list_subjects,
    load_subjects,
    lock_subject,
    save_subject,
)
from services.policy.store.subjects_at_once import refs_of_digests
from services.policy.store.tenants import tenant_exists
from services.policy.use_cases.acting import lock_for
from services.policy.use_cases.keys import revoke_held
from services.policy.use_cases.personal import PersonalSeals


@dataclass(frozen=True)
class Subjects:
    """What may be done with a tenant's subjects."""

    pool: Pool
    seals: PersonalSeals
    clock: Clock
    keepers: Keepers

    async def create(
        self, caller: Caller, personal: Personal, attributes: Attributes
    ) -> Subject | SubjectExists | Refusal:
        """Make a subject; the unique indexes judge who comes first."""
        tenant, by = caller.tenant_id, caller.key_id
        keys, now = await self.seals.keys(tenant), self.clock()
        made = Subject(new_id(), 1, created=now, personal=personal, attributes=attributes)
        digests = keys.digests(personal)
        async with tenant_transaction(self.pool, tenant) as tx:
            if not await add_subject(tx, tenant, keys.seal(made), digests=digests):
                return await _what_is_there(tx, tenant, digests)
            said = subject_changed(tenant, made, change=Change.CREATED, changed_by=by, now=now)
            await announce_all(tx, said)
        return made

    async def load(self, tenant: UUID, subject_ref: UUID) -> Subject | Refusal:
        """Return one subject."""
        found = await self.load_many(tenant, [subject_ref])
        return found[0] if found else Refusal.UNKNOWN

    async def load_many(self, tenant: UUID, subject_refs: Sequence[UUID]) -> list[Subject]:
        """Return those of the subjects that there are."""
        async with tenant_transaction(self.pool, tenant) as tx:
            stored = await load_subjects(tx, tenant, subject_refs)
        return await self._opened(tenant, stored)

    async def page(self, tenant: UUID, *, after: UUID, limit: int) -> list[Subject]:
        """Return the subjects that come after this one."""
        async with tenant_transaction(self.pool, tenant) as tx:
            stored = await list_subjects(tx, tenant, after=after, limit=limit)
        return await self._opened(tenant, stored)

    async def find(self, tenant: UUID, subject: str) -> Subject | Refusal:
        """Return the subject whom the application knows by this id, in exactly this form."""
        async with tenant_transaction(self.pool, tenant) as tx:
            if not await tenant_exists(tx, tenant):
                # Nothing is made, keys included, for a tenant that there is not.
                return Refusal.UNKNOWN
        digest = (await self.seals.keys(tenant)).subject_digest(subject)
        async with tenant_transaction(self.pool, tenant) as tx:
            stored = await find_subject(tx, tenant, digest)
        if stored is None:
            return Refusal.UNKNOWN
        return (await self._opened(tenant, [stored]))[0]

    async def find_refs(self, tenant: UUID, subjects: Sequence[str]) -> dict[str, UUID]:
        """Return who those of the names are that there are, each in exactly this form."""
        async with tenant_transaction(self.pool, tenant) as tx:
            if not await tenant_exists(tx, tenant):
                return {}
        keys = await self.seals.keys(tenant)
        names = {keys.subject_digest(name): name for name in subjects}
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await refs_of_digests(tx, tenant, list(names))
        return {names[digest]: subject_ref for digest, subject_ref in found.items()}

    async def change(
        self, caller: Caller, subject_ref: UUID, change: SubjectChange
    ) -> Subject | Refusal:
        """Change what is given; where nothing is new, nothing is announced."""
        tenant, by = caller.tenant_id, caller.key_id
        async with tenant_transaction(self.pool, tenant) as tx:
            seen = await load_subjects(tx, tenant, [subject_ref])
        keys = await self.seals.keys(tenant, seen)
        async with tenant_transaction(self.pool, tenant) as tx:
            stored = await lock_subject(tx, tenant, subject_ref)
            if stored is None:
                return Refusal.UNKNOWN
            subject = keys.open(stored)
            changed = changed_subject(subject, change)
            if changed == subject:
                return subject
            digests = keys.digests(changed.personal)
            if not await save_subject(tx, tenant, keys.seal(changed), digests=digests):
                return Refusal.LABEL_TAKEN
            said = subject_changed(
                tenant, changed, change=Change.UPDATED, changed_by=by, now=self.clock()
            )
            await announce_all(tx, said)
        return changed

    async def delete(self, caller: Caller, subject_ref: UUID) -> bool | Refusal:
        """Erase a subject: what named it, and the keys that it held, are gone with the commit.

        Tells whether all services refuse these keys already; where one is down, its event tells it.
        """
        changed = await self._delete(caller, subject_ref)
        if isinstance(changed, Refusal):
            return changed
        tenant, states = caller.tenant_id, map(application_state, changed)
        return all([await self.keepers.push(tenant, state) for state in states])

    async def _delete(self, caller: Caller, subject_ref: UUID) -> list[Application] | Refusal:
        tenant, by, now = caller.tenant_id, caller.key_id, self.clock()
        async with tenant_transaction(self.pool, tenant) as tx:
            locked = await lock_for(tx, caller)
            if isinstance(locked, Refusal):
                return locked
            stored = await lock_subject(tx, tenant, subject_ref)
            if stored is None:
                return Refusal.UNKNOWN
            changed = await revoke_held(tx, caller, subject_ref, now=now)
            if isinstance(changed, Refusal):
                return changed
            erased = erased_subject(stored)
            await erase_subject(tx, tenant, erased, now=now)
            await forget_readiness(tx, tenant, [subject_ref])
            said = subject_changed(tenant, erased, change=Change.DELETED, changed_by=by, now=now)
            await announce_all(tx, said)
        return changed

    async def _opened(self, tenant: UUID, stored: Sequence[StoredSubject]) -> list[Subject]:
        if not stored:
            return []
        keys = await self.seals.keys(tenant, stored)
        return [keys.open(one) for one in stored]


async def _what_is_there(tx: Connection, tenant: UUID, digests: Digests) -> SubjectExists | Refusal:
    there = await find_subject(tx, tenant, digests.subject)
    return SubjectExists(there.subject_ref) if there is not None else Refusal.LABEL_TAKEN
