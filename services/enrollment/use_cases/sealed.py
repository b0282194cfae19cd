"""What enrollment keeps sealed, for the rotation of keys."""

from uuid import UUID

import asyncpg

from contracts.vocabulary import Factor
from libs.sealing.sealed_columns import KeptKey, Sealed, SealedColumn
from services.enrollment.domain.places import (
    CONFIRMATION,
    DIGEST,
    IMPORT_PART,
    LASTING,
    LOOKUP,
    MESSAGE,
    NAME,
    SECRET,
    STOCK,
    message_place,
    name_place,
    part_place,
    secret_place,
    token_place,
)


def _secret_place(tenant: UUID, row: asyncpg.Record) -> tuple[str, ...]:
    return secret_place(
        tenant,
        row["subject_ref"],
        authenticator_id=_authenticator_of(row),
        factor=Factor(row["factor"]),
    )


def _name_place(tenant: UUID, row: asyncpg.Record) -> tuple[str, ...]:
    return name_place(tenant, row["subject_ref"], owner=_authenticator_of(row))


def _label_place(tenant: UUID, row: asyncpg.Record) -> tuple[str, ...]:
    return name_place(tenant, row["subject_ref"], owner=row["id"])


def _message_place(tenant: UUID, row: asyncpg.Record) -> tuple[str, ...]:
    return message_place(tenant, row["subject_ref"], code_id=row["id"])


def _token_place(tenant: UUID, row: asyncpg.Record) -> tuple[str, ...]:
    return token_place(tenant, row["id"], factor=Factor(row["factor"]))


def _part_place(tenant: UUID, row: asyncpg.Record) -> tuple[str, ...]:
    return part_place(tenant, row["import_id"], row["number"])


def _authenticator_of(row: asyncpg.Record) -> UUID:
    # An enrollment names the authenticator that it becomes.
    found: UUID = row.get("authenticator_id") or row["id"]
    return found


_ID, _SUBJECT = {"id": "uuid"}, ("subject_ref",)
_PART = {"import_id": "uuid", "number": "integer"}
_BEFORE, _AFTER = ("subject_ref", "authenticator_id", "factor"), ("subject_ref", "factor")

SEALED = Sealed(
    (
        SealedColumn("enrollment", "sealed", SECRET, _ID, _secret_place, _BEFORE),
        SealedColumn("authenticator", "sealed", SECRET, _ID, _secret_place, _AFTER),
        SealedColumn("enrollment", "sealed_name", NAME, _ID, _name_place, _BEFORE),
        SealedColumn("enrollment", "sealed_label", NAME, _ID, _label_place, _SUBJECT),
        SealedColumn("authenticator", "sealed_name", NAME, _ID, _name_place, _AFTER),
        SealedColumn("sent_code", "sealed", MESSAGE, _ID, _message_place, _SUBJECT),
        SealedColumn("hardware_token", "sealed", STOCK, _ID, _token_place, ("factor",)),
        # A part may have thousands of lines.
        SealedColumn("import_part", "sealed", IMPORT_PART, _PART, _part_place, at_once=1),
    ),
    (
        KeptKey(
            CONFIRMATION,
            "digests of the answers that confirmed enrollments: the answers are not kept",
            columns=("enrollment.confirmed_code",),
        ),
        KeptKey(
            DIGEST,
            "digests of codes, links and numbers, of which nothing else is kept",
            columns=(
                "sent_code.digest",
                "sent_code.to_digest",
                "handover.link_digest",
                "handover.code_digest",
            ),
        ),
        KeptKey(
            LASTING,
            "digests that browsers keep for years as the user's id, and marks of passkeys",
            columns=("authenticator.mark_digest",),
        ),
        KeptKey(
            LOOKUP,
            "digests by which secrets and files are known again: under two keys no index could"
            " keep them apart",
            columns=(
                "known_secret.digest",
                "known_secret.content",
                "authenticator_import.file_digest",
                "import_part.digest",
                "import_mark.digest",
                "import_mark.content",
            ),
        ),
    ),
)
