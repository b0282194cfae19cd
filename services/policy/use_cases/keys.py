"""Keys come and go; what a person holds goes with the person."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from contracts.policy import Change
from contracts.roles import Right, Role
from contracts.vocabulary import KeyMode, Scope
from libs.clock import Clock
from libs.ids import new_id
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.web.api_keys import ApiKey, new_api_key
from libs.web.callers import Caller
from services.policy.announcements import application_changed, application_state
from services.policy.domain.acts import IssueOwnerKey
from services.policy.domain.application import (
    Application,
    Key,
    keys_of,
    with_key,
    without_holder,
    without_key,
)
from services.policy.domain.owners import Owners, Settings, refusal_without
from services.policy.domain.proposals import Look, Proposal
from services.policy.domain.refusals import Refusal
from services.policy.gateways import Keepers
from services.policy.store.announcements import announce_all
from services.policy.store.applications import (
    lock_application,
    owners_in_force,
    save_with_key,
    save_without_keys,
    where_keys_are_held,
)
from services.policy.store.subjects import keep_subject
from services.policy.store.tenants import lock_tenant
from services.policy.use_cases.acting import lock_for
from services.policy.use_cases.proposing import propose


@dataclass(frozen=True)
class Wanted:
    """The key that somebody wants."""

    mode: KeyMode
    scopes: frozenset[Scope]
    role: Role = Role.APPLICATION
    holder: UUID | None = None


@dataclass(frozen=True)
class IssuedKey:
    """A key and its text, which is shown once; with a proposal it is not in force yet."""

    key: Key
    secret: ApiKey = field(repr=False)
    proposal: Proposal | None = None


@dataclass(frozen=True)
class Keys:
    """What a tenant may do with its keys."""

    pool: Pool
    clock: Clock
    keepers: Keepers

    async def add(
        self, caller: Caller, application_id: UUID, wanted: Wanted
    ) -> IssuedKey | Refusal:
        """Give an application one more key; a new owner's waits where a second owner has to see it.

        Whoever waits has the key already, which opens nothing: nobody else ever sees it.
        """
        if wanted.role is Role.OWNER and Right.OWN not in caller.scopes:
            return Refusal.OWNER_NEEDED
        issued, now = issue_key(application_id, wanted), self.clock()
        key, tenant, by = issued.key, caller.tenant_id, caller.key_id
        async with tenant_transaction(self.pool, tenant) as tx:
            settings = await lock_for(tx, caller)
            if isinstance(settings, Refusal):
                return settings
            looked = await look_at_key(tx, tenant, application_id, key)
            if isinstance(looked, Refusal):
                return looked
            if not (settings.four_eyes and looked.because):
                await add_key(tx, tenant, application_id, key=key, by=by, now=now)
                return issued
            proposal = await propose(tx, caller, _act(application_id, key), looked, now=now)
        if isinstance(proposal, Refusal):
            return proposal
        return IssuedKey(key, secret=issued.secret, proposal=proposal)

    async def revoke(self, caller: Caller, application_id: UUID, key_id: UUID) -> bool | Refusal:
        """Revoke a key and tell whether all services refuse it already; repeat until it does."""
        changed = await self._revoke(caller, application_id, key_id)
        if isinstance(changed, Refusal):
            return changed
        return await self.keepers.push(caller.tenant_id, application_state(changed))

    async def _revoke(
        self, caller: Caller, application_id: UUID, key_id: UUID
    ) -> Application | Refusal:
        now, tenant, by = self.clock(), caller.tenant_id, caller.key_id
        async with tenant_transaction(self.pool, tenant) as tx:
            # Who owns the tenant is a question about all its applications.
            settings = await lock_for(tx, caller)
            if isinstance(settings, Refusal):
                return settings
            owners = await _owners(tx, tenant, settings)
            stored = await lock_application(tx, tenant, application_id)
            if stored is None:
                return Refusal.UNKNOWN
            may = Right.OWN in caller.scopes
            changed = without_key(stored, key_id, owners=owners, by_owner=may)
            if isinstance(changed, Refusal) or changed == stored:
                return changed
            await _save(tx, tenant, changed, gone=frozenset({key_id}), by=by, now=now)
        return changed


def issue_key(application_id: UUID, wanted: Wanted) -> IssuedKey:
    """Make a key; nothing of its text is kept but the digest."""
    secret = new_api_key(mode=wanted.mode, application_id=application_id)
    key = Key(
        new_id(),
        digest=secret.digest,
        scopes=wanted.scopes,
        mode=wanted.mode,
        revoked=False,
        role=wanted.role,
        holder=wanted.holder,
    )
    return IssuedKey(key, secret=secret)


async def look_at_key(
    tx: Connection, tenant: UUID, application_id: UUID, key: Key
) -> Look | Refusal:
    """Return whether a key makes somebody an owner; its holder stays there until the commit."""
    stored = await lock_application(tx, tenant, application_id)
    changed = with_key(stored, key) if stored is not None else Refusal.UNKNOWN
    if isinstance(changed, Refusal):
        return changed
    if key.holder is not None and not await keep_subject(tx, tenant, key.holder):
        return Refusal.HOLDER_UNKNOWN
    because = ("somebody else owns the tenant, too",) if key.role is Role.OWNER else ()
    return Look(because, compared_with=0)


async def add_key(
    tx: Connection, tenant: UUID, application_id: UUID, *, key: Key, by: UUID, now: datetime
) -> None:
    """Keep and announce a key that was looked at."""
    stored = await lock_application(tx, tenant, application_id)
    changed = with_key(stored, key) if stored is not None else Refusal.UNKNOWN
    if isinstance(changed, Refusal):
        raise LookupError("what was looked at fits")
    await save_with_key(tx, tenant, changed, key=key, now=now)
    said = application_changed(
        tenant, changed, change=Change.KEY_ISSUED, key_id=key.key_id, changed_by=by, now=now
    )
    await announce_all(tx, said)


async def revoke_held(
    tx: Connection, caller: Caller, holder: UUID, *, now: datetime
) -> list[Application] | Refusal:
    """Revoke what a person holds who goes; returns the applications that lost a key.

    The tenant has to be locked before the person, by whoever lets people go.
    """
    tenant, changed = caller.tenant_id, []
    where = await where_keys_are_held(tx, tenant, holder)
    owners = await _owners(tx, tenant, await lock_tenant(tx, tenant))
    gone = frozenset(key for key, whose in owners.holders.items() if whose == holder)
    if gone and Right.OWN not in caller.scopes:
        return Refusal.OWNER_NEEDED
    if refusal := refusal_without(owners, gone):
        return refusal
    for application_id in where:
        stored = await lock_application(tx, tenant, application_id)
        if stored is not None:
            held, after = keys_of(stored, holder), without_holder(stored, holder)
            await _save(tx, tenant, after, gone=held, by=caller.key_id, now=now)
            changed.append(after)
    return changed


async def _owners(tx: Connection, tenant: UUID, settings: Settings) -> Owners:
    return Owners(await owners_in_force(tx, tenant), settings.four_eyes)


async def _save(
    tx: Connection,
    tenant: UUID,
    changed: Application,
    *,
    gone: frozenset[UUID],
    by: UUID,
    now: datetime,
) -> None:
    await save_without_keys(tx, tenant, changed, gone=gone, now=now)
    for key_id in sorted(gone):
        said = application_changed(
            tenant, changed, change=Change.KEY_REVOKED, key_id=key_id, changed_by=by, now=now
        )
        await announce_all(tx, said)


def _act(application_id: UUID, key: Key) -> IssueOwnerKey:
    if key.holder is None:
        raise LookupError("only the first owner's key is nobody's")
    return IssueOwnerKey(
        application_id=application_id,
        key_id=key.key_id,
        digest=key.digest,
        mode=key.mode,
        holder=key.holder,
    )
