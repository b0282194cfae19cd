"""Take a credential over from enrollment, and give it up again."""

import secrets
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import structlog

from contracts.internal import Credential, RevokedAuthenticator
from contracts.topics import EVENTS
from contracts.verification import ForgottenBecause
from libs.clock import Clock
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.sealing.data_keys import DataKeys
from libs.sealing.seal import seal
from libs.web.internal_client import Refused
from services.verification import announcements
from services.verification.domain.places import (
    CREDENTIAL,
    LOOKUP,
    RECOVERY_CODES,
    credential_place,
)
from services.verification.domain.recovery_codes import SALT_LENGTH, digests_of
from services.verification.domain.subjects import lookup_digest
from services.verification.gateways import Owners
from services.verification.reserve import Cache
from services.verification.script_calls import CacheDown
from services.verification.store import claims, skips
from services.verification.store import subjects as store
from services.verification.store.claims import Claim
from services.verification.use_cases.devices import forget_devices

_LOG = structlog.get_logger("claims")
# 404 and 410: removed meanwhile. 409: another attempt has it, which must not happen. Anything else,
# such as a clock that is wrong for a while, may be mended: the claim waits.
_FINAL = (404, 409, 410)


@dataclass(frozen=True)
class Credentials:
    """Claims what others own, and forgets it when told to."""

    pool: Pool
    data_keys: DataKeys
    cache: Cache
    owners: Owners
    clock: Clock

    async def fulfil(self, claim: Claim) -> None:
        """Do one waiting claim; raises Unreachable where it must wait longer."""
        match claim.kind:
            case claims.Kind.CREDENTIAL:
                await self._take(claim)
            case claims.Kind.ACKNOWLEDGEMENT:
                await self._acknowledge(claim)
            case claims.Kind.NAME:
                await self._name(claim)

    async def revoke(
        self,
        tx: Connection,
        *,
        tenant: UUID,
        subject: UUID,
        revoked: tuple[RevokedAuthenticator, ...],
        reset_id: UUID | None,
    ) -> int:
        """Bury authenticators and announce it; returns the subject's new cache version."""
        await store.lock_subject(tx, tenant, subject)
        for one in sorted(revoked, key=lambda other: other.authenticator_id):
            await claims.drop(tx, subject, one.authenticator_id)
            buried = await store.bury(
                tx,
                tenant,
                subject,
                authenticator_id=one.authenticator_id,
                factor=one.factor,
                epoch=one.epoch,
            )
            if buried:
                await self._buried(tx, tenant, subject, one, reset_id=reset_id)
        return await store.bump_cache_version(tx, subject)

    async def forget_person(self, tx: Connection, *, tenant: UUID, subject: UUID) -> None:
        """Bury all authenticators of a locked subject that policy has deleted, and announce it."""
        why, now = ForgottenBecause.SUBJECT_DELETED, self.clock()
        await forget_devices(tx, tenant=tenant, subject=subject, why=why, now=now)
        for authenticator_id, epoch in await store.bury_all(tx, subject):
            event = announcements.credential_forgotten(
                tenant=tenant,
                subject_ref=subject,
                authenticator_id=authenticator_id,
                epoch=epoch,
                reset_id=None,
                now=self.clock(),
            )
            await announce(tx, topic=EVENTS.name, event=event)

    async def revoke_now(
        self,
        *,
        tenant: UUID,
        subject: UUID,
        revoked: tuple[RevokedAuthenticator, ...],
        reset_id: UUID | None,
    ) -> None:
        """Revoke in a transaction of its own: when this returns, nothing is accepted any more."""
        async with tenant_transaction(self.pool, tenant) as tx:
            version = await self.revoke(
                tx, tenant=tenant, subject=subject, revoked=revoked, reset_id=reset_id
            )
        await self._tell_changed(tenant, subject, version)

    async def _buried(
        self,
        tx: Connection,
        tenant: UUID,
        subject: UUID,
        one: RevokedAuthenticator,
        *,
        reset_id: UUID | None,
    ) -> None:
        # What was trusted on the word of the authenticators is trusted no more. A removal that is
        # heard again buries nothing, so it spares the devices that were remembered since.
        why = ForgottenBecause.RESET if reset_id else ForgottenBecause.AUTHENTICATOR_REMOVED
        await forget_devices(tx, tenant=tenant, subject=subject, why=why, now=self.clock())
        event = announcements.credential_forgotten(
            tenant=tenant,
            subject_ref=subject,
            authenticator_id=one.authenticator_id,
            epoch=one.epoch,
            reset_id=reset_id,
            now=self.clock(),
        )
        await announce(tx, topic=EVENTS.name, event=event)

    async def _take(self, claim: Claim) -> None:
        authenticator_id = claim.known_authenticator
        try:
            credential = await self.owners.credential(
                tenant=claim.tenant,
                subject_ref=claim.subject_ref,
                authenticator_id=authenticator_id,
                attempt_id=claim.claim_id,
            )
        except Refused as refusal:
            if refusal.status not in _FINAL:
                raise
            _LOG.warning("credential not given", status=refusal.status, code=refusal.code)
            async with tenant_transaction(self.pool, claim.tenant) as tx:
                await claims.done(tx, claim)
            return
        await self._store(claim, await self._sealed(claim, credential), credential)

    async def _sealed(self, claim: Claim, credential: Credential) -> store.StoredAuthenticator:
        key = await self.data_keys.newest(tenant=claim.tenant, purpose=CREDENTIAL)
        place = credential_place(
            claim.tenant,
            claim.subject_ref,
            authenticator_id=claim.known_authenticator,
            factor=credential.factor,
            epoch=credential.epoch,
        )
        return store.StoredAuthenticator(
            authenticator_id=claim.known_authenticator,
            factor=credential.factor,
            epoch=credential.epoch,
            sealed=seal(key, await self._secret_of(claim, credential), place=place),
            algorithm=credential.algorithm,
            digits=credential.digits,
            period=credential.period,
            last_step=credential.last_step,
        )

    async def _secret_of(self, claim: Claim, credential: Credential) -> bytes:
        if not credential.codes:
            return b64decode(credential.secret)
        key = await self.data_keys.newest(tenant=claim.tenant, purpose=RECOVERY_CODES)
        salts = [secrets.token_bytes(SALT_LENGTH) for _ in credential.codes]
        return digests_of(credential.codes, salts, key=key.key, version=key.version)

    async def _store(
        self, claim: Claim, stored: store.StoredAuthenticator, credential: Credential
    ) -> None:
        async with tenant_transaction(self.pool, claim.tenant) as tx:
            await store.lock_subject(tx, claim.tenant, claim.subject_ref)
            if await store.add_authenticator(tx, claim.tenant, claim.subject_ref, stored):
                event = announcements.credential_claimed(
                    tenant=claim.tenant,
                    subject_ref=claim.subject_ref,
                    authenticator_id=stored.authenticator_id,
                    factor=credential.factor,
                    epoch=stored.epoch,
                    now=self.clock(),
                )
                await announce(tx, topic=EVENTS.name, event=event)
            version = await store.bump_cache_version(tx, claim.subject_ref)
            await claims.acknowledge_next(tx, claim)
        await self._tell_changed(claim.tenant, claim.subject_ref, version)

    async def _acknowledge(self, claim: Claim) -> None:
        try:
            await self.owners.acknowledge(
                tenant=claim.tenant,
                authenticator_id=claim.known_authenticator,
                attempt_id=claim.claim_id,
            )
        except Refused as refusal:
            if refusal.status not in _FINAL:
                raise
        async with tenant_transaction(self.pool, claim.tenant) as tx:
            await claims.done(tx, claim)

    async def _name(self, claim: Claim) -> None:
        # The attributes have changed as well, and count also while policy cannot be asked.
        async with tenant_transaction(self.pool, claim.tenant) as tx:
            await store.lock_subject(tx, claim.tenant, claim.subject_ref)
            version = await store.bump_cache_version(tx, claim.subject_ref)
        await self._tell_changed(claim.tenant, claim.subject_ref, version)
        name = await self.owners.name(tenant=claim.tenant, subject_ref=claim.subject_ref)
        key = await self.data_keys.newest(tenant=claim.tenant, purpose=LOOKUP)
        async with tenant_transaction(self.pool, claim.tenant) as tx:
            await store.lock_subject(tx, claim.tenant, claim.subject_ref)
            if name is not None:
                lookup = lookup_digest(key.key, name)
                await store.save_lookup(tx, claim.subject_ref, lookup)
                await skips.whose(tx, claim.subject_ref, lookup)
            version = await store.bump_cache_version(tx, claim.subject_ref)
            await claims.done(tx, claim)
        await self._tell_changed(claim.tenant, claim.subject_ref, version)

    async def _tell_changed(self, tenant: UUID, subject: UUID, version: int) -> None:
        with suppress(CacheDown):
            await self.cache.tell_changed(tenant, subject, version=version)
