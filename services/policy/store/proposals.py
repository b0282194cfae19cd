"""Acts that wait, or waited, for a second owner."""

from datetime import datetime
from uuid import UUID

import asyncpg
from pydantic import TypeAdapter

from libs.postgres.pool import Connection
from services.policy.domain.acts import Act, KeptAct
from services.policy.domain.proposals import Look, Proposal, Status

_ACT: TypeAdapter[Act] = TypeAdapter(KeptAct)
_COLUMNS = (
    "proposal_id, act::text AS act, because, compared_with, proposed_by, holder, proposed, status,"
    " decided_by, decided"
)
_ADD = """
INSERT INTO proposal (tenant_id, proposal_id, act, because, compared_with, proposed_by, holder,
    proposed, status)
VALUES ($1, $2, $3::text::jsonb, $4, $5, $6, $7, $8, 'waiting')
"""


async def add_proposal(tx: Connection, tenant: UUID, proposal: Proposal) -> None:
    await tx.execute(
        _ADD,
        tenant,
        proposal.proposal_id,
        proposal.act.model_dump_json(),
        list(proposal.look.because),
        proposal.look.compared_with,
        proposal.proposed_by,
        proposal.holder,
        proposal.proposed,
    )


async def save_decision(tx: Connection, tenant: UUID, proposal: Proposal) -> None:
    """Save what was decided about a locked proposal."""
    await tx.execute(
        "UPDATE proposal SET status = $3, decided_by = $4, decided = $5"
        " WHERE tenant_id = $1 AND proposal_id = $2",
        tenant,
        proposal.proposal_id,
        proposal.decided,
        proposal.decided_by,
        proposal.decided_at,
    )


async def load_proposal(tx: Connection, tenant: UUID, proposal_id: UUID) -> Proposal | None:
    """Return one proposal; while the tenant is locked nobody decides about it."""
    row = await tx.fetchrow(
        f"SELECT {_COLUMNS} FROM proposal"  # noqa: S608 - constants
        " WHERE tenant_id = $1 AND proposal_id = $2",
        tenant,
        proposal_id,
    )
    return _proposal(row) if row is not None else None


async def list_proposals(
    tx: Connection, tenant: UUID, *, before: UUID, limit: int
) -> list[Proposal]:
    """Return the proposals that were made before this one, the newest first."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM proposal"  # noqa: S608
        " WHERE tenant_id = $1 AND proposal_id < $2 ORDER BY proposal_id DESC LIMIT $3",
        tenant,
        before,
        limit,
    )
    return [_proposal(row) for row in rows]


async def waiting_since(
    tx: Connection, tenant: UUID, since: datetime, *, key: UUID
) -> list[Proposal]:
    """Return what a key has proposed after this time and is not decided."""
    rows = await tx.fetch(
        f"SELECT {_COLUMNS} FROM proposal"  # noqa: S608
        " WHERE tenant_id = $1 AND proposed > $2 AND status = 'waiting' AND proposed_by = $3"
        " ORDER BY proposal_id",
        tenant,
        since,
        key,
    )
    return [_proposal(row) for row in rows]


def _proposal(row: asyncpg.Record) -> Proposal:
    decided = row["status"] != "waiting"
    return Proposal(
        proposal_id=row["proposal_id"],
        act=_ACT.validate_json(row["act"]),
        look=Look(tuple(row["because"]), compared_with=row["compared_with"]),
        proposed_by=row["proposed_by"],
        holder=row["holder"],
        proposed=row["proposed"],
        decided=Status(row["status"]) if decided else None,
        decided_by=row["decided_by"],
        decided_at=row["decided"],
    )
