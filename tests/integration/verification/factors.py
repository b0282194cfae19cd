"""Authenticators of the other code factors, handed over as enrollment would."""

import secrets
from base64 import b32encode, b64encode
from dataclasses import dataclass
from uuid import UUID

import httpx2
import pyotp
from argon2.low_level import Type, hash_secret

from contracts.internal import Credential
from contracts.vocabulary import Algorithm, Factor, Scope
from libs.ids import new_id
from libs.postgres.pool import tenant_transaction
from services.verification.store import claims
from tests.integration.verification.conftest import Application, Person, World

ALL = (Factor.TOTP, Factor.HOTP, Factor.PIN, Factor.RECOVERY_CODE)
REASONS = (Scope.VERIFY, Scope.VERIFY_REASONS)
CODES = ("7HJ2K-9QXW4", "A1B2C-D3E4F", "ZZZZZ-00000")


@dataclass(frozen=True)
class Fob:
    """A HOTP authenticator."""

    authenticator_id: UUID
    maker: pyotp.HOTP

    def code(self, counter: int) -> str:
        return self.maker.at(counter)


async def enrolled(world: World, person: Person, credential: Credential) -> UUID:
    """Give a person an authenticator through the claim contract."""
    authenticator_id = new_id()
    world.owners.credentials[authenticator_id] = credential
    async with tenant_transaction(world.plumbing.app_pool, person.tenant) as tx:
        await claims.want_credential(
            tx,
            tenant=person.tenant,
            subject=person.subject_ref,
            authenticator_id=authenticator_id,
            traceparent=None,
        )
    await world.claim_all()
    return authenticator_id


async def with_fob(world: World, person: Person, *, last_used: int = -1, digits: int = 6) -> Fob:
    key = secrets.token_bytes(20)
    credential = Credential(
        factor=Factor.HOTP,
        epoch=1,
        secret=b64encode(key).decode(),
        algorithm=Algorithm.SHA1,
        digits=digits,
        last_step=last_used,
    )
    maker = pyotp.HOTP(b32encode(key).decode(), digits=digits)
    return Fob(await enrolled(world, person, credential), maker)


async def with_pin(world: World, person: Person, pin: str) -> UUID:
    return await enrolled(world, person, pin_credential(pin))


def pin_credential(pin: str, *, memory: int = 19_456) -> Credential:
    stored = hash_secret(
        pin.encode(),
        secrets.token_bytes(16),
        time_cost=2,
        memory_cost=memory,
        parallelism=1,
        hash_len=32,
        type=Type.ID,
    )
    return Credential(
        factor=Factor.PIN, epoch=1, secret=b64encode(stored).decode(), digits=len(pin)
    )


async def with_codes(world: World, person: Person, codes: tuple[str, ...] = CODES) -> UUID:
    credential = Credential(factor=Factor.RECOVERY_CODE, epoch=1, codes=codes)
    return await enrolled(world, person, credential)


async def ask(
    world: World, application: Application, person: Person, code: str, **more: str
) -> httpx2.Response:
    """Ask with more than subject and code; `idempotency_key` goes into its header."""
    headers = {"Authorization": f"Bearer {application.key}"}
    if "idempotency_key" in more:
        headers["Idempotency-Key"] = more.pop("idempotency_key")
    body = {"subject": person.name, "code": code, **more}
    return await world.public.post("/v1/verify", json=body, headers=headers)
