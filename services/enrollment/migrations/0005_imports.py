"""Imports of authenticators, tokens in stock, and which secrets came by an import."""

from alembic import op

from libs.messaging.tables import tenant_wall

revision = "0005"
down_revision = "0003"

# A hotp authenticator has no period.
_AUTHENTICATORS = "ALTER TABLE authenticator ALTER COLUMN period DROP NOT NULL;"

# What came without its person waits here with its secret; what came with one is known by its serial
# only. `counter` is where codes of a hotp token begin.
_TOKENS = """
CREATE TABLE hardware_token (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    serial text NOT NULL,
    factor text NOT NULL CHECK (factor IN ('totp', 'hotp')),
    algorithm text NOT NULL,
    digits integer NOT NULL,
    period integer,
    counter bigint,
    status text NOT NULL CHECK (status IN ('in_stock', 'assigned')),
    authenticator_id uuid,
    sealed bytea,
    added timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, serial),
    CHECK ((status = 'assigned') = (authenticator_id IS NOT NULL)),
    CHECK (status = 'assigned' OR sealed IS NOT NULL),
    CHECK ((factor = 'totp') = (period IS NOT NULL)),
    CHECK ((factor = 'hotp') = (counter IS NOT NULL))
);
CREATE INDEX ON hardware_token (tenant_id, authenticator_id) WHERE authenticator_id IS NOT NULL;

-- Keyed digests, so that a secret that comes again is noticed, also when it is long with
-- verification; `content` is the digest of the whole row.
CREATE TABLE known_secret (
    tenant_id uuid NOT NULL,
    digest bytea NOT NULL,
    content bytea NOT NULL,
    hardware_token_id uuid,
    authenticator_id uuid,
    subject_ref uuid,
    PRIMARY KEY (tenant_id, digest),
    FOREIGN KEY (tenant_id, hardware_token_id) REFERENCES hardware_token,
    CHECK (hardware_token_id IS NOT NULL OR authenticator_id IS NOT NULL)
);
CREATE INDEX ON known_secret (tenant_id, hardware_token_id);
CREATE INDEX ON known_secret (tenant_id, subject_ref) WHERE subject_ref IS NOT NULL;
"""

_IMPORTS = """
CREATE TABLE authenticator_import (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    dry_run boolean NOT NULL,
    file_digest bytea,
    expected integer,
    application_id uuid NOT NULL,
    author uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('receiving', 'running', 'finished', 'cancelled')),
    parts integer NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    received integer NOT NULL DEFAULT 0,
    enrolled_rows integer NOT NULL DEFAULT 0,
    stocked_rows integer NOT NULL DEFAULT 0,
    unchanged_rows integer NOT NULL DEFAULT 0,
    refused_rows integer NOT NULL DEFAULT 0,
    created timestamptz NOT NULL,
    touched timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, import_id),
    CHECK (enrolled_rows + stocked_rows + unchanged_rows + refused_rows <= received)
);
CREATE UNIQUE INDEX ON authenticator_import (tenant_id, file_digest, dry_run)
    WHERE state IN ('receiving', 'running');
CREATE INDEX ON authenticator_import (state, touched);

-- Rows that wait, sealed; they go with the step that does the last of them.
CREATE TABLE import_part (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    number integer NOT NULL,
    first_row integer NOT NULL,
    last_row integer NOT NULL,
    digest bytea NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (tenant_id, import_id, number),
    FOREIGN KEY (tenant_id, import_id) REFERENCES authenticator_import ON DELETE CASCADE
);
ALTER TABLE import_part ALTER COLUMN sealed SET STORAGE EXTERNAL;

-- Which row of an open import first had a secret or a serial; of a person in a dry run, how many
-- authenticators the rows so far would have made.
CREATE TABLE import_mark (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    digest bytea NOT NULL,
    number integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (tenant_id, import_id, digest),
    FOREIGN KEY (tenant_id, import_id) REFERENCES authenticator_import ON DELETE CASCADE
);

CREATE TABLE import_row (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    number integer NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('enrolled', 'stocked', 'unchanged', 'refused')),
    authenticator_id uuid,
    hardware_token_id uuid,
    errors text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, import_id, number),
    FOREIGN KEY (tenant_id, import_id) REFERENCES authenticator_import ON DELETE CASCADE
);
CREATE INDEX ON import_row (tenant_id, import_id, outcome, number);
"""

# The worker hears where there is work, and nothing of what it is about.
_WHERE_WORK_IS = """
CREATE POLICY worker_sees_all ON authenticator_import TO enrollment_worker USING (true);
GRANT SELECT (tenant_id, import_id, state, touched) ON authenticator_import TO enrollment_worker;
"""
_WALLED = (
    *("hardware_token", "known_secret"),
    *("authenticator_import", "import_part", "import_mark", "import_row"),
)


def upgrade() -> None:
    op.execute(_AUTHENTICATORS)
    op.execute(_TOKENS)
    op.execute(_IMPORTS)
    for table in _WALLED:
        op.execute(tenant_wall(table, "enrollment"))
    op.execute(_WHERE_WORK_IS)
