"""Versions of a tenant's rules, and their publications; neither is ever changed."""

from datetime import datetime
from uuid import UUID

import asyncpg

from libs.postgres.pool import Connection, Pool
from services.policy.domain.rules import RulesText
from services.policy.domain.versions import Publication, RulesVersion


async def add_version(
    tx: Connection,
    tenant: UUID,
    text: RulesText,
    *,
    digest: str,
    author: UUID,
    reason: str,
    now: datetime,
) -> RulesVersion:
    """Keep a new version; the tenant is locked."""
    number: int = await tx.fetchval(
        "INSERT INTO rules_version (tenant_id, version, content, digest, author, reason, created)"
        " SELECT $1, coalesce(max(version), 0) + 1, $2::text::jsonb, $3, $4, $5, $6"
        " FROM rules_version WHERE tenant_id = $1 RETURNING version",
        tenant,
        text.model_dump_json(),
        digest,
        author,
        reason,
        now,
    )
    return RulesVersion(number, text, digest, author, reason, now)


async def load_version(tx: Connection, tenant: UUID, version: int) -> RulesVersion | None:
    row = await tx.fetchrow(
        "SELECT version, content::text AS content, digest, author, reason, created"
        " FROM rules_version WHERE tenant_id = $1 AND version = $2",
        tenant,
        version,
    )
    return _version(row) if row is not None else None


async def list_versions(
    tx: Connection, tenant: UUID, *, before: int, limit: int
) -> list[RulesVersion]:
    """Return versions below `before`, the newest first."""
    rows = await tx.fetch(
        "SELECT version, content::text AS content, digest, author, reason, created"
        " FROM rules_version WHERE tenant_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3",
        tenant,
        before,
        limit,
    )
    return [_version(row) for row in rows]


async def last_publication(tx: Connection, tenant: UUID) -> Publication | None:
    """Return which version is in force, if any."""
    row = await tx.fetchrow(
        "SELECT number, version, published_by, reason, published FROM rules_publication"
        " WHERE tenant_id = $1 ORDER BY number DESC LIMIT 1",
        tenant,
    )
    return Publication(**row) if row is not None else None


async def version_in_force(tx: Connection, tenant: UUID) -> RulesVersion | None:
    """Return what is in force, in one look: no publication comes between number and content."""
    row = await tx.fetchrow(
        "SELECT version, content::text AS content, digest, author, reason, created"
        " FROM rules_version WHERE tenant_id = $1 AND version = ("
        " SELECT version FROM rules_publication WHERE tenant_id = $1 ORDER BY number DESC LIMIT 1)",
        tenant,
    )
    return _version(row) if row is not None else None


async def list_publications(tx: Connection, tenant: UUID, version: int) -> list[Publication]:
    """Return when this version came into force, the first time first."""
    rows = await tx.fetch(
        "SELECT number, version, published_by, reason, published FROM rules_publication"
        " WHERE tenant_id = $1 AND version = $2 ORDER BY number",
        tenant,
        version,
    )
    return [Publication(**row) for row in rows]


async def add_publication(tx: Connection, tenant: UUID, publication: Publication) -> None:
    """Bring a version into force; the tenant is locked."""
    await tx.execute(
        "INSERT INTO rules_publication"
        " (tenant_id, number, version, published_by, reason, published)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        tenant,
        publication.number,
        publication.version,
        publication.published_by,
        publication.reason,
        publication.published,
    )


async def tenants_with_rules(pool: Pool) -> list[UUID]:
    """Return the tenants that have rules in force (the worker's role)."""
    rows = await pool.fetch("SELECT DISTINCT tenant_id FROM rules_publication")
    return [row["tenant_id"] for row in rows]


async def note_said(tx: Connection, tenant: UUID, rule: str, starts: datetime, days: int) -> bool:
    """Note that something was announced so many days ahead; False where it was before.

    Other rules that leave this one as it is announce nothing anew.
    """
    said = await tx.fetchval(
        "INSERT INTO enforcement_said (tenant_id, rule, starts, days) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT DO NOTHING RETURNING true",
        tenant,
        rule,
        starts,
        days,
    )
    return bool(said)


def _version(row: asyncpg.Record) -> RulesVersion:
    return RulesVersion(
        version=row["version"],
        text=RulesText.model_validate_json(row["content"]),
        digest=row["digest"],
        author=row["author"],
        reason=row["reason"],
        created=row["created"],
    )
