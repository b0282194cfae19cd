"""Whoever changes what protects a person shows that the person is present."""

import json
from dataclasses import dataclass
from uuid import UUID

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from contracts.credentials import WITH_CODES
from contracts.roles import Right
from libs.clock import Clock
from libs.postgres.pool import Connection
from libs.web.callers import Caller
from libs.web.internal_client import Unreachable
from services.enrollment.domain.authenticator import Authenticator, Status
from services.enrollment.domain.presence import (
    CONFIRMATION_TYPE,
    RECEIPT_TYPE,
    Presence,
    presence_of,
)
from services.enrollment.domain.refusals import Refusal
from services.enrollment.gateways import Verification
from services.enrollment.store.authenticators import lock_with_status
from services.enrollment.store.presences import take_once
from services.enrollment.use_cases.tickets import Tickets

_ALGORITHM = "Ed25519"


@dataclass(frozen=True)
class Presences:
    """Reads proofs of presence, and says when one is needed."""

    verification: Verification
    tickets: Tickets
    clock: Clock

    async def read(self, caller: Caller, receipt: str | None) -> Presence | Refusal | None:
        """Return what a receipt shows; ask before the transaction: keys may have to be fetched."""
        if receipt is None or Right.SUPPORT in caller.scopes:
            return None
        try:
            claims = await self._claims(receipt)
        except Unreachable:
            return Refusal.VERIFICATION_UNREACHABLE
        except (JoseError, ValueError, LookupError, TypeError, RecursionError):
            return Refusal.RECEIPT_REFUSED
        shown = presence_of(claims, caller.application_id, now=self.clock())
        return shown if shown is not None else Refusal.RECEIPT_REFUSED

    async def _claims(self, receipt: str) -> dict[str, object]:
        kind, key_id = _head(receipt)
        key = await self._key(kind, key_id)
        signed = jws.deserialize_compact(receipt, key, algorithms=[_ALGORITHM])
        claims = json.loads(signed.payload)
        if not isinstance(claims, dict):
            raise TypeError("no claims")
        return claims

    async def _key(self, kind: object, key_id: object) -> OKPKey:
        match kind:
            case str() if kind == CONFIRMATION_TYPE:
                return self.tickets.identity.private_key
            case str() if kind == RECEIPT_TYPE:
                return (await self.verification.receipt_keys(str(key_id)))[str(key_id)]
            case _:
                raise ValueError("not a proof of presence")


async def take_presence(
    tx: Connection, caller: Caller, subject_ref: UUID, shown: Presence | None
) -> bool | Refusal:
    """Take the proof that a locked subject is present, or return why nothing is to be changed.

    False where none was taken: none is needed of whoever has no codes yet, who may show a telephone
    that was confirmed just now, nor where somebody acts who may help people.
    """
    active = await lock_with_status(tx, subject_ref, Status.ACTIVE)
    has_codes = any(one.factor in WITH_CODES for one in active)
    is_needed = has_codes and Right.SUPPORT not in caller.scopes
    if shown is None:
        return Refusal.NOT_PRESENT if is_needed else False
    if _is_of(active, shown) and await _is_first_use(tx, caller, shown):
        return True
    return Refusal.RECEIPT_REFUSED if is_needed else False


async def _is_first_use(tx: Connection, caller: Caller, shown: Presence) -> bool:
    return await take_once(tx, caller.tenant_id, shown.presence_id, expires=shown.expires)


def _is_of(active: list[Authenticator], shown: Presence) -> bool:
    return any(one.authenticator_id == shown.authenticator_id for one in active)


def _head(receipt: str) -> tuple[object, object]:
    # Only to choose the key; nothing of it is believed before the signature held.
    header = jws.extract_compact(receipt.encode()).headers()
    return header.get("typ"), header.get("kid")
