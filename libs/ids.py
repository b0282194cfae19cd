"""Ids that sort by the time they were made (UUID version 7, RFC 9562 section 5.7)."""

import os
import time
from uuid import UUID

_RANDOM_BITS = (1 << 74) - 1
_HIGH_12_BITS = 0xFFF << 62


def new_id() -> UUID:
    """Return a new UUIDv7: 48 bits of milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10)) & _RANDOM_BITS
    value = (milliseconds & 0xFFFFFFFFFFFF) << 80
    value |= 0x7 << 76 | ((random & _HIGH_12_BITS) >> 62) << 64
    value |= 0b10 << 62 | random & ~_HIGH_12_BITS
    return UUID(int=value)
