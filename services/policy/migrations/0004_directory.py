"""The directory: logins found by e-mail address, bulk imports, and when a subject was erased."""

from alembic import op

from libs.messaging.tables import tenant_wall

revision = "directory"
down_revision = "rules"

# `digested` is the version of the subject of which `email_digest` is: whoever does not know the
# column (an earlier release, while both run) leaves a row behind that says so itself.
_SUBJECTS = """
ALTER TABLE subject
    ADD COLUMN email_digest bytea,
    ADD COLUMN digested bigint NOT NULL DEFAULT 0,
    ADD COLUMN deleted_at timestamptz,
    ADD COLUMN buried boolean NOT NULL DEFAULT false;
CREATE INDEX subject_email ON subject (tenant_id, email_digest) WHERE email_digest IS NOT NULL;
CREATE INDEX subject_undigested ON subject (tenant_id, subject_ref) WHERE digested < version;
CREATE INDEX subject_unburied ON subject (tenant_id, subject_ref) WHERE deleted AND NOT buried;
"""

# Of one file an import is open once; the digest is keyed, and goes when the import is forgotten.
_IMPORTS = """
CREATE TABLE subject_import (
    tenant_id uuid NOT NULL REFERENCES tenant,
    import_id uuid NOT NULL,
    format text NOT NULL,
    dry_run boolean NOT NULL,
    file_digest bytea,
    expected integer,
    author uuid NOT NULL,
    state text NOT NULL,
    columns text[] NOT NULL DEFAULT '{}',
    parts integer NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    received integer NOT NULL DEFAULT 0,
    worked integer NOT NULL DEFAULT 0,
    created_rows integer NOT NULL DEFAULT 0,
    updated_rows integer NOT NULL DEFAULT 0,
    unchanged_rows integer NOT NULL DEFAULT 0,
    refused_rows integer NOT NULL DEFAULT 0,
    created timestamptz NOT NULL,
    touched timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, import_id),
    CHECK (worked <= received),
    CHECK (worked = created_rows + updated_rows + unchanged_rows + refused_rows)
);
CREATE UNIQUE INDEX subject_import_open ON subject_import (tenant_id, file_digest, format, dry_run)
    WHERE state IN ('receiving', 'running');
CREATE INDEX subject_import_state ON subject_import (state, touched);

-- Lines that wait, sealed. The rows up to `last_row` are in this part and those before it.
CREATE TABLE import_part (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    number integer NOT NULL,
    first_row integer NOT NULL,
    last_row integer NOT NULL,
    digest bytea NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (tenant_id, import_id, number),
    FOREIGN KEY (tenant_id, import_id) REFERENCES subject_import ON DELETE CASCADE
);
-- What is sealed does not get shorter.
ALTER TABLE import_part ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- Whom and which labels an open import has come across, so that a second row is noticed.
-- Row 0 stands for a subject that was erased meanwhile: the import does not bring it back.
CREATE TABLE import_mark (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    digest bytea NOT NULL,
    number integer NOT NULL,
    owner uuid,
    PRIMARY KEY (tenant_id, import_id, digest),
    FOREIGN KEY (tenant_id, import_id) REFERENCES subject_import ON DELETE CASCADE
);

CREATE TABLE import_row (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    number integer NOT NULL,
    outcome text NOT NULL,
    subject_ref uuid,
    errors text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, import_id, number),
    FOREIGN KEY (tenant_id, import_id) REFERENCES subject_import ON DELETE CASCADE
);
CREATE INDEX import_row_outcome ON import_row (tenant_id, import_id, outcome, number);
"""

# The worker hears where there is work, and nothing of what it is about.
_WHERE_WORK_IS = """
CREATE POLICY worker_sees_all ON subject TO policy_worker USING (true);
GRANT SELECT (tenant_id, subject_ref, version, digested, deleted, deleted_at, buried)
    ON subject TO policy_worker;
CREATE POLICY worker_sees_all ON subject_import TO policy_worker USING (true);
GRANT SELECT (tenant_id, import_id, state, touched) ON subject_import TO policy_worker;
"""


def upgrade() -> None:
    op.execute(_SUBJECTS)
    op.execute(_IMPORTS)
    for table in ("subject_import", "import_part", "import_mark", "import_row"):
        op.execute(tenant_wall(table, "policy"))
    op.execute(_WHERE_WORK_IS)
