"""Make ready for a passkey: what the person's browser is to be asked for."""

import secrets
from dataclasses import dataclass
from uuid import UUID

from contracts.policy import ApplicationState
from contracts.vocabulary import Factor
from libs.postgres.pool import Pool, tenant_transaction
from services.enrollment.domain.passkey import CHALLENGE_LENGTH, Ceremony, Known, Passkey
from services.enrollment.domain.refusals import Refusal
from services.enrollment.store.credentials import sealed_of_factor
from services.enrollment.use_cases.seals import Sealing


@dataclass(frozen=True)
class Passkeys:
    """Knows which passkeys a person has."""

    pool: Pool
    sealing: Sealing

    async def ceremony(
        self, tenant: UUID, application: ApplicationState, subject_ref: UUID
    ) -> Ceremony | Refusal:
        """Return a new ceremony, at the relying party of the application."""
        party = application.passkeys
        if party is None:
            return Refusal.PASSKEYS_NOT_SET_UP
        user_id = await self.sealing.lasting_digest(tenant, "passkey user", subject_ref.bytes)
        held = await self._held(tenant, subject_ref)
        return Ceremony(
            rp_id=party.rp_id,
            origins=party.origins,
            user_id=user_id,
            challenge=secrets.token_bytes(CHALLENGE_LENGTH),
            known=tuple(
                Known(credential_id=one.credential_id, transports=one.transports)
                for one in held
                if one.rp_id == party.rp_id
            ),
        )

    async def _held(self, tenant: UUID, subject_ref: UUID) -> list[Passkey]:
        async with tenant_transaction(self.pool, tenant) as tx:
            stored = await sealed_of_factor(tx, subject_ref, Factor.PASSKEY)
        opened = [
            await self.sealing.open_claimed(
                tenant,
                subject_ref,
                authenticator_id=authenticator_id,
                factor=Factor.PASSKEY,
                sealed=sealed,
            )
            for authenticator_id, sealed in stored
        ]
        return [Passkey.model_validate_json(one) for one in opened]
