"""What policy keeps sealed, for the rotation of keys."""

from uuid import UUID

import asyncpg

from libs.sealing.sealed_columns import KeptKey, Sealed, SealedColumn
from services.policy.use_cases.part_seals import PART, part_place
from services.policy.use_cases.personal import LOOKUP, SUBJECT, subject_place


def _subject_place(tenant: UUID, row: asyncpg.Record) -> tuple[str, ...]:
    return subject_place(tenant, row["subject_ref"])


def _part_place(tenant: UUID, row: asyncpg.Record) -> tuple[str, ...]:
    return part_place(tenant, row["import_id"], row["number"])


SEALED = Sealed(
    (
        SealedColumn("subject", "sealed", SUBJECT, {"subject_ref": "uuid"}, _subject_place),
        SealedColumn(
            "import_part",
            "sealed",
            PART,
            {"import_id": "uuid", "number": "integer"},
            _part_place,
            # A part may have a hundred thousand lines.
            at_once=1,
        ),
    ),
    (
        KeptKey(
            LOOKUP,
            "digests by which people and files are found: under two keys no index could keep them"
            " apart",
            columns=(
                "subject.subject_digest",
                "subject.label_digest",
                "subject.email_digest",
                "subject_import.file_digest",
                "import_part.digest",
                "import_mark.digest",
            ),
        ),
    ),
)
