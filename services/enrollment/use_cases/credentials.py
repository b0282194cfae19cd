"""Hand a credential over to the one attempt that asked first, and forget it."""

import json
from base64 import b64encode
from dataclasses import dataclass
from uuid import UUID

from contracts.credentials import WITH_CODES
from contracts.internal import Credential
from contracts.vocabulary import Factor
from libs.postgres.pool import Pool, tenant_transaction
from services.enrollment.domain.claim import claim_refusal
from services.enrollment.domain.refusals import Refusal
from services.enrollment.store.credentials import (
    StoredCredential,
    erase_secret,
    lock_credential,
    save_claim,
)
from services.enrollment.use_cases.seals import Sealing


@dataclass(frozen=True)
class Credentials:
    """Gives credentials away; what was acknowledged is not here any more."""

    pool: Pool
    sealing: Sealing

    async def claim(
        self, tenant: UUID, subject_ref: UUID, *, authenticator_id: UUID, attempt: UUID
    ) -> Credential | Refusal:
        """Return the credential to the attempt that owns it: the first one that asked."""
        async with tenant_transaction(self.pool, tenant) as tx:
            stored = await lock_credential(tx, authenticator_id)
            if stored is None or stored.subject_ref != subject_ref:
                return Refusal.UNKNOWN
            if stored.factor not in WITH_CODES:
                # There is nothing in it that a code could be judged by.
                return Refusal.UNKNOWN
            refusal = claim_refusal(
                attempt,
                status=stored.status,
                claimed_by=stored.claimed_by,
                erased=stored.sealed is None,
            )
            if refusal is not None:
                return refusal
            await save_claim(tx, authenticator_id, attempt)
        return await self._opened(tenant, stored)

    async def acknowledge(
        self, tenant: UUID, *, authenticator_id: UUID, attempt: UUID
    ) -> Refusal | None:
        """Erase the copy that the owner of the claim has stored; asking again is harmless."""
        async with tenant_transaction(self.pool, tenant) as tx:
            stored = await lock_credential(tx, authenticator_id)
            if stored is None:
                return Refusal.UNKNOWN
            if stored.claimed_by != attempt:
                return Refusal.CLAIMED_BY_ANOTHER
            await erase_secret(tx, authenticator_id)
        return None

    async def _opened(self, tenant: UUID, stored: StoredCredential) -> Credential | Refusal:
        if stored.sealed is None:
            return Refusal.GONE
        secret = await self.sealing.open_claimed(
            tenant,
            stored.subject_ref,
            authenticator_id=stored.authenticator_id,
            factor=stored.factor,
            sealed=stored.sealed,
        )
        holds_codes = stored.factor is Factor.RECOVERY_CODE
        return Credential(
            factor=stored.factor,
            epoch=stored.epoch,
            secret="" if holds_codes else b64encode(secret).decode(),
            codes=tuple(json.loads(secret)) if holds_codes else (),
            algorithm=stored.algorithm,
            digits=stored.digits,
            period=stored.period,
            last_step=stored.last_step,
        )
