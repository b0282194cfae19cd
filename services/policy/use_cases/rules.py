"""A tenant's rules: a version is written, looked at, and brought into force."""

from dataclasses import dataclass
from uuid import UUID

from libs.clock import Clock
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.callers import Caller
from services.policy.announcements import Announcement, policy_changed, rules_published
from services.policy.domain.changes import changes
from services.policy.domain.policy import Ruled, ruled_policy
from services.policy.domain.refusals import Mistakes, Refusal
from services.policy.domain.rules import (
    RulesText,
    digest_of,
    lockouts,
    mistakes,
    published_rules,
    rules_for,
)
from services.policy.domain.versions import Publication, RulesVersion
from services.policy.store import rules as store
from services.policy.store.announcements import announce_all
from services.policy.store.applications import load_applications, lock_application
from services.policy.store.policies import add_policy, load_policy
from services.policy.store.tenants import lock_tenant

# Before the first publication a tenant has none.
_NOTHING = RulesText(rules=())


@dataclass(frozen=True)
class Shown:
    """A version, when it came into force, and whether it is in force now."""

    version: RulesVersion
    publications: tuple[Publication, ...]
    in_force: bool


@dataclass(frozen=True)
class Rules:
    """What a tenant may do with its rules."""

    pool: Pool
    clock: Clock

    async def write(self, caller: Caller, text: RulesText, *, reason: str) -> Shown | Mistakes:
        """Keep a version; it changes nothing before it is published."""
        tenant = caller.tenant_id
        async with tenant_transaction(self.pool, tenant) as tx:
            await lock_tenant(tx, tenant)
            if wrong := await _mistakes(tx, tenant, text):
                return Mistakes(wrong)
            written = await store.add_version(
                tx,
                tenant,
                text,
                digest=digest_of(text),
                author=caller.key_id,
                reason=reason,
                now=self.clock(),
            )
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

    async def compare(
        self, tenant: UUID, text: RulesText
    ) -> tuple[tuple[str, ...], int | None] | Mistakes:
        """Return what rules would change that are not kept, and which are in force."""
        async with tenant_transaction(self.pool, tenant) as tx:
            if wrong := await _mistakes(tx, tenant, text):
                return Mistakes(wrong)
            before = await _text_of(tx, tenant, None)
            last = await store.last_publication(tx, tenant)
        in_force = last.version if last is not None else None
        return changes(before or _NOTHING, text), in_force

    async def publish(
        self, caller: Caller, version: int, *, replaces: int | None, reason: str
    ) -> Shown | Refusal | Mistakes:
        """Bring a version into force, also an older one, unless others than `replaces` are.

        What is in force already is not announced again.
        """
        tenant, now = caller.tenant_id, self.clock()
        async with tenant_transaction(self.pool, tenant) as tx:
            await lock_tenant(tx, tenant)
            found = await store.load_version(tx, tenant, version)
            last = await store.last_publication(tx, tenant)
            if found is None:
                return Refusal.UNKNOWN
            if last is not None and last.version == version:
                return await _shown(tx, tenant, found)
            if (last.version if last is not None else None) != replaces:
                return Refusal.OTHER_RULES_IN_FORCE
            # What can be enrolled, and the applications, may be others than when it was written.
            if wrong := (*await _mistakes(tx, tenant, found.text), *lockouts(found.text)):
                return Mistakes(wrong)
            number = last.number + 1 if last is not None else 1
            publication = Publication(number, version, caller.key_id, reason, now)
            await store.add_publication(tx, tenant, publication)
            said = rules_published(tenant, found, replaced=replaces, by=caller.key_id, now=now)
            await announce_all(tx, [said, *await _applied(tx, tenant, found, publication)])
            return await _shown(tx, tenant, found)


async def rules_in_force(tx: Connection, tenant: UUID, application_id: UUID) -> Ruled:
    """Return the rules for an application of a locked tenant: they stay what they are."""
    last = await store.last_publication(tx, tenant)
    found = await store.load_version(tx, tenant, last.version) if last is not None else None
    return _ruled(found, application_id) if found is not None else Ruled()


async def _applied(
    tx: Connection, tenant: UUID, found: RulesVersion, publication: Publication
) -> list[Announcement]:
    """Give every application its next policy."""
    said: list[Announcement] = []
    for application in await load_applications(tx, tenant):
        about = application.application_id
        # The application's row is the lock of its policy; ids are in one order.
        await lock_application(tx, tenant, about)
        stored = await load_policy(tx, tenant, about)
        if stored is None:
            continue
        changed = ruled_policy(stored, _ruled(found, about))
        by, now = publication.published_by, publication.published
        await add_policy(tx, tenant, changed, changed_by=by, now=now)
        said += policy_changed(tenant, changed, changed_by=by, now=now)
    return said


def _ruled(found: RulesVersion, application_id: UUID) -> Ruled:
    rules = rules_for(published_rules(found.text), application_id)
    return Ruled(rules, version=found.version, digest=found.digest)


async def _mistakes(tx: Connection, tenant: UUID, text: RulesText) -> tuple[str, ...]:
    applications = await load_applications(tx, tenant)
    return mistakes(text, frozenset(one.application_id for one in applications))


async def _text_of(tx: Connection, tenant: UUID, version: int | None) -> RulesText | None:
    if version is None:
        last = await store.last_publication(tx, tenant)
        if last is None:
            return _NOTHING
        version = last.version
    found = await store.load_version(tx, tenant, version)
    return found.text if found is not None else None


async def _shown(tx: Connection, tenant: UUID, found: RulesVersion) -> Shown:
    publications = await store.list_publications(tx, tenant, found.version)
    last = await store.last_publication(tx, tenant)
    in_force = last is not None and last.version == found.version
    return Shown(found, tuple(publications), in_force)
