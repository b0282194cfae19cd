"""Whose key it is and what its role is; acts that wait for a second owner."""

from alembic import op

from libs.messaging.tables import tenant_wall

revision = "roles"
down_revision = "directory"

# A node of the release before makes keys without a role: these are applications'.
_KEYS = """
ALTER TABLE application_key
    ADD COLUMN role text NOT NULL DEFAULT 'application',
    ADD COLUMN holder uuid,
    ADD CHECK (role IN ('owner', 'administrator', 'service_desk', 'auditor', 'application')),
    ADD FOREIGN KEY (tenant_id, holder) REFERENCES subject;
CREATE INDEX application_key_held ON application_key (tenant_id, holder) WHERE NOT revoked;
"""

# Who managed by the first application of a tenant owned it: nobody else had been there before. A
# tenant that manages by others only has the oldest of these keys, so that no tenant has no owner.
_OWNERS = """
UPDATE application_key k SET role = 'owner'
FROM (SELECT DISTINCT ON (tenant_id) tenant_id, application_id FROM application
      ORDER BY tenant_id, created, application_id) first
WHERE k.tenant_id = first.tenant_id AND k.application_id = first.application_id
    AND 'manage' = ANY (k.scopes);
UPDATE application_key k SET role = 'owner'
FROM (SELECT DISTINCT ON (tenant_id) tenant_id, key_id FROM application_key
      WHERE NOT revoked AND 'manage' = ANY (scopes) ORDER BY tenant_id, created, key_id) oldest
WHERE k.tenant_id = oldest.tenant_id AND k.key_id = oldest.key_id AND NOT EXISTS (
    SELECT FROM application_key o
    WHERE o.tenant_id = k.tenant_id AND o.role = 'owner' AND NOT o.revoked);
ALTER TABLE application_key
    ADD CHECK (holder IS NULL OR role <> 'application'),
    ADD CHECK (holder IS NOT NULL OR role IN ('application', 'owner')),
    ADD CHECK (role NOT IN ('owner', 'administrator') OR 'manage' = ANY (scopes));
"""

_FOUR_EYES = """
ALTER TABLE tenant
    ADD COLUMN four_eyes boolean NOT NULL DEFAULT false,
    ADD COLUMN settings_version bigint NOT NULL DEFAULT 1;

CREATE TABLE proposal (
    tenant_id uuid NOT NULL REFERENCES tenant,
    proposal_id uuid NOT NULL,
    act jsonb NOT NULL,
    because text[] NOT NULL,
    compared_with bigint NOT NULL,
    proposed_by uuid NOT NULL,
    holder uuid NOT NULL,
    proposed timestamptz NOT NULL,
    status text NOT NULL,
    decided_by uuid,
    decided timestamptz,
    PRIMARY KEY (tenant_id, proposal_id),
    FOREIGN KEY (tenant_id, proposed_by) REFERENCES application_key,
    CHECK (status IN ('waiting', 'approved', 'refused')),
    CHECK ((status = 'waiting') = (decided IS NULL)),
    CHECK ((status = 'waiting') = (decided_by IS NULL))
);
CREATE INDEX proposal_proposed ON proposal (tenant_id, proposed);
"""

# A node of the release before rules would write policies without them: it is refused instead.
_RULES_ARE_SAID = "ALTER TABLE policy_version ALTER COLUMN rules DROP DEFAULT;"


def upgrade() -> None:
    op.execute(_KEYS)
    op.execute(_OWNERS)
    op.execute(_FOUR_EYES)
    op.execute(tenant_wall("proposal", "policy"))
    # What was proposed stays what it was; only the decision is added.
    op.execute("REVOKE UPDATE, DELETE ON proposal FROM policy_app")
    op.execute("GRANT UPDATE (status, decided_by, decided) ON proposal TO policy_app")
    op.execute(_RULES_ARE_SAID)
