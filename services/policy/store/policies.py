"""Policies, every version of them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter

from contracts.rules import Rule
from contracts.vocabulary import Factor, Requirement
from libs.postgres.pool import Connection
from services.policy.domain.policy import Policy, Ruled, Terms

_ADD = """
INSERT INTO policy_version (tenant_id, application_id, version, requirement, factors, changed_by,
    created, rules, rules_version, rules_digest)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb, $9, $10)
"""
# The rules of a publication are the same for most applications: each set travels and is read once.
_ADD_RULED = """
WITH sets AS MATERIALIZED (
    SELECT place, content::jsonb AS content
    FROM unnest($5::text[]) WITH ORDINALITY AS s(content, place)
)
INSERT INTO policy_version (tenant_id, application_id, version, requirement, factors, changed_by,
    created, rules, rules_version, rules_digest)
SELECT p.tenant_id, p.application_id, p.version + 1, p.requirement, p.factors, $6, $7, s.content,
    $8, $9
FROM unnest($2::uuid[], $3::bigint[], $4::int[]) AS given(application_id, version, place)
JOIN sets s USING (place)
JOIN policy_version p ON p.tenant_id = $1
    AND (p.application_id, p.version) = (given.application_id, given.version)
"""
_COLUMNS = (
    "application_id, version, requirement, factors, rules::text AS rules, rules_version,"
    " rules_digest"
)
_NEWEST = """
SELECT DISTINCT ON (application_id)
    application_id, version, requirement, factors, '[]' AS rules, rules_version, rules_digest
FROM policy_version WHERE tenant_id = $1 ORDER BY application_id, version DESC
"""
_RULES = TypeAdapter(tuple[Rule, ...])


async def add_policy(
    tx: Connection, tenant: UUID, policy: Policy, *, changed_by: UUID, now: datetime
) -> None:
    """Keep a new version; the application is locked, or new."""
    await tx.execute(
        _ADD,
        tenant,
        policy.application_id,
        policy.version,
        policy.terms.requirement.value,
        sorted(factor.value for factor in policy.terms.factors),
        changed_by,
        now,
        _RULES.dump_json(policy.ruled.rules).decode(),
        policy.ruled.version,
        policy.ruled.digest,
    )


async def add_ruled(
    tx: Connection, tenant: UUID, policies: Sequence[Policy], *, changed_by: UUID, now: datetime
) -> None:
    """Keep the next versions of policies that now are under these rules, and ask the same else.

    Their applications are locked, and all are of one version of the rules.
    """
    sets = {id(policy.ruled): policy.ruled.rules for policy in policies}
    places = {each: place for place, each in enumerate(sets, start=1)}
    await tx.execute(
        _ADD_RULED,
        tenant,
        [policy.application_id for policy in policies],
        [policy.version - 1 for policy in policies],
        [places[id(policy.ruled)] for policy in policies],
        [_RULES.dump_json(rules).decode() for rules in sets.values()],
        changed_by,
        now,
        policies[0].ruled.version,
        policies[0].ruled.digest,
    )


async def load_policy(tx: Connection, tenant: UUID, application_id: UUID) -> Policy | None:
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM policy_version"  # noqa: S608 - constants
        " WHERE tenant_id = $1 AND application_id = $2 ORDER BY version DESC LIMIT 1",
        tenant,
        application_id,
    )
    return _policy(row) if row is not None else None


async def load_policies(tx: Connection, tenant: UUID) -> dict[UUID, Policy]:
    """Return the newest version of each application's policy, but without the rules themselves."""
    return {row["application_id"]: _policy(row) for row in await tx.fetch(_NEWEST, tenant)}


def _policy(row: asyncpg.Record) -> Policy:
    factors = frozenset(Factor(factor) for factor in row["factors"])
    terms = Terms(requirement=Requirement(row["requirement"]), factors=factors)
    rules = _RULES.validate_json(row["rules"])
    ruled = Ruled(rules, version=row["rules_version"], digest=row["rules_digest"])
    return Policy(row["application_id"], version=row["version"], terms=terms, ruled=ruled)
