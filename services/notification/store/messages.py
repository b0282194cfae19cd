"""Messages and where they stand.

`tries` fences: a process acts on a message only while the try that it took is the newest one.
"""

from datetime import datetime, timedelta

import asyncpg

from contracts.codes import CodeChannel
from contracts.vocabulary import Language
from libs.postgres.pool import Connection, Pool
from services.notification.domain.delivery import Ended
from services.notification.domain.message import Message, Status, Template

# Longer than a claim can take: a pending row that is due again belongs to a process that died
# before it talked to any mail server.
_TAKEN_FOR = timedelta(seconds=30)

_TAKE_DUE = """
UPDATE message m SET due = now() + $2, tries = tries + 1 FROM (
    SELECT tenant_id, id FROM message WHERE status = 'pending' AND due <= now()
    ORDER BY due LIMIT $1 FOR UPDATE SKIP LOCKED
) d WHERE m.tenant_id = d.tenant_id AND m.id = d.id
RETURNING m.*
"""
_FORGET = """
DELETE FROM message m USING (
    SELECT tenant_id, id FROM message WHERE ended < $1
    ORDER BY ended LIMIT $2 FOR UPDATE SKIP LOCKED
) d WHERE m.tenant_id = d.tenant_id AND m.id = d.id
"""


async def want(tx: Connection, message: Message) -> bool:
    """Store a new message, due now; False where its cause has one already."""
    stored = await tx.fetchval(
        "INSERT INTO message (tenant_id, id, caused_by, subject_ref, template, happened,"
        " traceparent, channel, code_id, until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        " ON CONFLICT (tenant_id, caused_by) DO NOTHING RETURNING true",
        message.tenant,
        message.message_id,
        message.caused_by,
        message.subject_ref,
        message.template,
        message.happened,
        message.traceparent,
        message.channel,
        message.code_id,
        message.until,
    )
    return bool(stored)


async def take_due(pool: Pool, *, most: int) -> list[Message]:
    """Take messages that are due, of all tenants, for a while (the worker's role)."""
    return [_message(row) for row in await pool.fetch(_TAKE_DUE, most, _TAKEN_FOR)]


async def lapsed(pool: Pool, *, most: int) -> list[Message]:
    """Return messages whose sender died between `sending` and the outcome (the worker's role)."""
    rows = await pool.fetch(
        "SELECT * FROM message WHERE status = 'sending' AND due <= now() ORDER BY due LIMIT $1",
        most,
    )
    return [_message(row) for row in rows]


async def begin_sending(
    tx: Connection, message: Message, *, language: Language | None, within: timedelta
) -> bool:
    """Note that a mail server may have the message from now on; False where another try has it."""
    begun = await tx.fetchval(
        "UPDATE message SET status = 'sending', language = $3, due = now() + $4"
        " WHERE id = $1 AND tries = $2 AND status = 'pending' RETURNING true",
        message.message_id,
        message.tries,
        language,
        within,
    )
    return bool(begun)


async def put_back(tx: Connection, message: Message, *, status: Status, wait: timedelta) -> bool:
    """Let a message that was surely not sent wait; False where it is not this try's any more."""
    put = await tx.fetchval(
        "UPDATE message SET status = 'pending', due = now() + $4"
        " WHERE id = $1 AND tries = $2 AND status = $3 RETURNING true",
        message.message_id,
        message.tries,
        status,
        wait,
    )
    return bool(put)


async def end(
    tx: Connection, message: Message, *, status: Status, end: Ended, now: datetime
) -> bool:
    """Close a message that stands at `status`; False where it is not this try's any more."""
    ended = await tx.fetchval(
        "UPDATE message SET status = $4, reason = $5, ended = $6"
        " WHERE id = $1 AND tries = $2 AND status = $3 RETURNING true",
        message.message_id,
        message.tries,
        status,
        end.status,
        end.reason,
        now,
    )
    return bool(ended)


async def count_open(pool: Pool) -> dict[Status, int]:
    """Return how many messages wait and how many are being sent (the worker's role)."""
    rows = await pool.fetch(
        "SELECT status, count(*) AS count FROM message"
        " WHERE status IN ('pending', 'sending') GROUP BY status"
    )
    return {Status(row["status"]): row["count"] for row in rows}


async def forget_ended(pool: Pool, *, before: datetime, most: int) -> int:
    """Delete messages that ended before this time; returns their number (the worker's role)."""
    status = await pool.execute(_FORGET, before, most)
    return int(status.rpartition(" ")[2])


def _message(row: asyncpg.Record) -> Message:
    language = row["language"]
    return Message(
        tenant=row["tenant_id"],
        message_id=row["id"],
        caused_by=row["caused_by"],
        subject_ref=row["subject_ref"],
        template=Template(row["template"]),
        language=None if language is None else Language(language),
        happened=row["happened"],
        until=row["until"],
        traceparent=row["traceparent"],
        tries=row["tries"],
        channel=CodeChannel(row["channel"]),
        code_id=row["code_id"],
    )
