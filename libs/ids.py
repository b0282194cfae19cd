"""Ids that sort by the time they were made (UUID version 7, RFC 9562 section 5.7)."""

import os
import time
from uuid import UUID

# The same class, in C: whatever is written to PostgreSQL, JSON or a key is made of it many times.
from asyncpg.pgproto.pgproto import UUID as FastUUID  # noqa: N811

_VERSION, _VARIANT = 0x70, 0x80


def new_id() -> UUID:
    """Return a new UUIDv7: 48 bits of milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000 & 0xFFFFFFFFFFFF
    value = bytearray(milliseconds.to_bytes(6, "big") + os.urandom(10))
    value[6] = _VERSION | value[6] & 0x0F
    value[8] = _VARIANT | value[8] & 0x3F
    made: UUID = FastUUID(bytes(value))
    return made
