"""A tenant's rules: a version is written, looked at, and brought into force."""

from dataclasses import dataclass
from uuid import UUID

from libs.clock import Clock
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.callers import Caller
from services.policy.announcements import rules_written
from services.policy.domain.acts import PublishRules
from services.policy.domain.changes import changes
from services.policy.domain.proposals import Proposal
from services.policy.domain.refusals import Mistakes, Refusal
from services.policy.domain.rules import RulesText, digest_of, lockouts, mistakes
from services.policy.domain.versions import Publication, RulesVersion
from services.policy.store import rules as store
from services.policy.store.announcements import announce_all
from services.policy.store.policies import load_policies
from services.policy.use_cases.acting import lock_for
from services.policy.use_cases.proposing import propose
from services.policy.use_cases.publication import bring_into_force, look_at_publication

# Before the first publication a tenant has none.
_NOTHING = RulesText(rules=())


@dataclass(frozen=True)
class Shown:
    """A version, when it came into force, and whether it is in force now."""

    version: RulesVersion
    publications: tuple[Publication, ...]
    in_force: bool


@dataclass(frozen=True)
class Compared:
    """What would change, line by line, against which version, and whom it would lock out."""

    changes: tuple[str, ...]
    in_force: int | None
    lockouts: tuple[str, ...]


@dataclass(frozen=True)
class Rules:
    """What a tenant may do with its rules."""

    pool: Pool
    clock: Clock

    async def write(
        self, caller: Caller, text: RulesText, *, reason: str
    ) -> Shown | Refusal | Mistakes:
        """Keep a version; it changes nothing before it is published."""
        tenant, now = caller.tenant_id, self.clock()
        async with tenant_transaction(self.pool, tenant) as tx:
            settings = await lock_for(tx, caller)
            if isinstance(settings, Refusal):
                return settings
            if wrong := await _mistakes(tx, tenant, text):
                return Mistakes(wrong)
            written = await store.add_version(
                tx,
                tenant,
                text,
                digest=digest_of(text),
                author=caller.key_id,
                reason=reason,
                now=now,
            )
            said = rules_written(tenant, written, by=caller.key_id, now=now)
            await announce_all(tx, [said])
        return Shown(written, (), in_force=False)

    async def load(self, tenant: UUID, version: int) -> Shown | Refusal:
        """Return one version."""
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await store.load_version(tx, tenant, version)
            return await _shown(tx, tenant, found) if found is not None else Refusal.UNKNOWN

    async def page(self, tenant: UUID, *, before: int, limit: int) -> list[Shown]:
        """Return versions below `before`, the newest first."""
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await store.list_versions(tx, tenant, before=before, limit=limit)
            return [await _shown(tx, tenant, one) for one in found]

    async def changes(
        self, tenant: UUID, version: int, *, since: int | None
    ) -> tuple[str, ...] | Refusal:
        """Return what is different from another version: the one in force where none is named."""
        async with tenant_transaction(self.pool, tenant) as tx:
            after = await store.load_version(tx, tenant, version)
            before = await _text_of(tx, tenant, since)
        if after is None or before is None:
            return Refusal.UNKNOWN
        return changes(before, after.text)

    async def compare(self, tenant: UUID, text: RulesText) -> Compared | Mistakes:
        """Return what rules would change that are not kept."""
        async with tenant_transaction(self.pool, tenant) as tx:
            if wrong := await _mistakes(tx, tenant, text):
                return Mistakes(wrong)
            found = await store.version_in_force(tx, tenant)
        if found is None:
            return Compared(changes(_NOTHING, text), None, lockouts(text))
        return Compared(changes(found.text, text), found.version, lockouts(text))

    async def publish(
        self, caller: Caller, version: int, *, replaces: int | None, reason: str
    ) -> Shown | Proposal | Refusal | Mistakes:
        """Bring a version into force, also an older one, unless others than `replaces` are.

        What is in force already is not announced again, but for applications that are without it.
        """
        tenant, now = caller.tenant_id, self.clock()
        act = PublishRules(version=version, replaces=replaces, reason=reason)
        async with tenant_transaction(self.pool, tenant) as tx:
            settings = await lock_for(tx, caller)
            if isinstance(settings, Refusal):
                return settings
            look = await look_at_publication(tx, tenant, act, weighed=settings.four_eyes)
            if isinstance(look, Refusal | Mistakes):
                return look
            if look.because:
                return await propose(tx, caller, act, look, now=now)
            await bring_into_force(tx, tenant, act, by=caller.key_id, now=now)
            found = await store.load_version(tx, tenant, version)
            return await _shown(tx, tenant, found) if found is not None else Refusal.UNKNOWN


async def _mistakes(tx: Connection, tenant: UUID, text: RulesText) -> tuple[str, ...]:
    # Each application has a policy.
    return mistakes(text, frozenset(await load_policies(tx, tenant)))


async def _text_of(tx: Connection, tenant: UUID, version: int | None) -> RulesText | None:
    if version is None:
        in_force = await store.version_in_force(tx, tenant)
        return in_force.text if in_force is not None else _NOTHING
    found = await store.load_version(tx, tenant, version)
    return found.text if found is not None else None


async def _shown(tx: Connection, tenant: UUID, found: RulesVersion) -> Shown:
    publications = await store.list_publications(tx, tenant, found.version)
    last = await store.last_publication(tx, tenant)
    in_force = last is not None and last.version == found.version
    return Shown(found, tuple(publications), in_force)
