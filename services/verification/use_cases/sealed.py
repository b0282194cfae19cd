"""What verification keeps sealed, for the rotation of keys."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import asyncpg

from libs.postgres.pool import Pool, tenant_transaction
from libs.sealing.sealed_columns import Change, KeptKey, Save, Sealed, SealedColumn
from services.verification.domain.places import (
    CREDENTIAL,
    DEVICE,
    LOOKUP,
    RECEIPT_KEY,
    RECOVERY_CODES,
    credential_place,
    receipt_key_place,
)
from services.verification.reserve import Cache
from services.verification.script_calls import CacheDown
from services.verification.store.resealing import swap_credentials

_KEPT = (
    KeptKey(
        LOOKUP,
        "digests of names and requests: the names are policy's, and are not kept here",
        columns=(
            "subject.lookup",
            "skip.lookup",
            "answer.idempotency_key",
            "answer.request",
            "skip_answer.idempotency_key",
            "skip_answer.request",
        ),
    ),
    KeptKey(
        RECOVERY_CODES,
        "digests of codes that only their owner knows; they lie inside the seal of a credential",
    ),
    KeptKey(DEVICE, "marks of tokens that browsers hold, for 30 days at most"),
)


def sealed_by(pool: Pool, cache: Cache) -> Sealed:
    """Return the columns and purposes."""
    credentials = SealedColumn(
        table="authenticator",
        column="sealed",
        purpose=CREDENTIAL,
        row={"id": "uuid"},
        about=("subject_ref", "factor", "epoch"),
        place=_credential_place,
        save=_saving_credentials(pool, cache),
    )
    receipt_keys = SealedColumn(
        table="receipt_key",
        column="sealed",
        purpose=RECEIPT_KEY,
        row={"key_id": "text"},
        place=_receipt_key_place,
    )
    return Sealed((credentials, receipt_keys), _KEPT)


def _saving_credentials(pool: Pool, cache: Cache) -> Save:
    async def save(tenant: UUID, changes: Sequence[Change]) -> int:
        async with tenant_transaction(pool, tenant) as tx:
            moved = await swap_credentials(tx, changes)
        with suppress(CacheDown):
            await asyncio.gather(
                *(
                    cache.tell_changed(tenant, one, version=version)
                    for one, version in moved.versions
                )
            )
        return moved.credentials

    return save


def _credential_place(tenant: UUID, row: asyncpg.Record) -> tuple[str, ...]:
    return credential_place(
        tenant,
        row["subject_ref"],
        authenticator_id=row["id"],
        factor=row["factor"],
        epoch=row["epoch"],
    )


def _receipt_key_place(_tenant: UUID, row: asyncpg.Record) -> tuple[str, ...]:
    return receipt_key_place(row["key_id"])
