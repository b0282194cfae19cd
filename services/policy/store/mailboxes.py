"""What tenants say of shared mailboxes."""

from uuid import UUID

from libs.postgres.pool import Connection
from services.policy.domain.mailboxes import Mailboxes, Shared, Then


async def load_mailboxes(tx: Connection, tenant: UUID) -> Mailboxes:
    row = await tx.fetchrow(
        "SELECT mailboxes_then, mailboxes_names, mailboxes_version FROM tenant"
        " WHERE tenant_id = $1",
        tenant,
    )
    if row is None:
        raise LookupError("the tenant of a key, or of a subject, is there")
    names = row["mailboxes_names"]
    shared = Shared(Then(row["mailboxes_then"]), tuple(names) if names is not None else None)
    return Mailboxes(shared, version=row["mailboxes_version"])


async def save_mailboxes(tx: Connection, tenant: UUID, mailboxes: Mailboxes) -> None:
    """Save what a locked tenant says."""
    shared = mailboxes.shared
    await tx.execute(
        "UPDATE tenant SET mailboxes_then = $2, mailboxes_names = $3, mailboxes_version = $4"
        " WHERE tenant_id = $1",
        tenant,
        shared.then.value,
        list(shared.names) if shared.names is not None else None,
        mailboxes.version,
    )
