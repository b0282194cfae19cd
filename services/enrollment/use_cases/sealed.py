"""What enrollment keeps sealed, for the rotation of keys."""

from uuid import UUID

import asyncpg

from contracts.vocabulary import Factor
from libs.sealing.sealed_columns import KeptKey, Sealed, SealedColumn
from services.enrollment.domain.places import (
    CONFIRMATION,
    NAME,
    SECRET,
    name_place,
    secret_place,
)


def _secret_place(tenant: UUID, row: asyncpg.Record) -> tuple[str, ...]:
    return secret_place(
        tenant,
        row["subject_ref"],
        authenticator_id=_authenticator_of(row),
        factor=Factor(row["factor"]),
    )


def _name_place(tenant: UUID, row: asyncpg.Record) -> tuple[str, ...]:
    return name_place(tenant, row["subject_ref"], authenticator_id=_authenticator_of(row))


def _authenticator_of(row: asyncpg.Record) -> UUID:
    # An enrollment names the authenticator that it becomes.
    found: UUID = row.get("authenticator_id") or row["id"]
    return found


_ID = {"id": "uuid"}
_BEFORE, _AFTER = ("subject_ref", "authenticator_id", "factor"), ("subject_ref", "factor")

SEALED = Sealed(
    (
        SealedColumn("enrollment", "sealed", SECRET, _ID, _secret_place, _BEFORE),
        SealedColumn("authenticator", "sealed", SECRET, _ID, _secret_place, _AFTER),
        SealedColumn("enrollment", "sealed_name", NAME, _ID, _name_place, _BEFORE),
        SealedColumn("authenticator", "sealed_name", NAME, _ID, _name_place, _AFTER),
    ),
    (
        KeptKey(
            CONFIRMATION,
            "digests of the codes that confirmed enrollments: the codes are not kept",
            columns=("enrollment.confirmed_code",),
        ),
    ),
)
