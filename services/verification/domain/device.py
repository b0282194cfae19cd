"""Remembered devices: what a device shows, and how far that is believed (requirement D5).

A token is a device's id and the number of its generation under a MAC of the tenant's key: nothing
of it is stored, not even a hash, and a lost answer can be given again. Each use makes the next
generation and spends the one before, so that of two holders of one token one is found out.
NIST SP 800-63B-4 section 3.2.2: a browser cookie is no authenticator, so this is no second factor.
"""

import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from uuid import UUID

_PREFIX = "wwd_"
_HEAD = struct.Struct(">16sII")
_MAC_LENGTH = 32
# As PostgreSQL counts them.
_MOST = 2**31 - 1
# For several tabs at once, and for an answer that was lost.
GRACE = timedelta(seconds=10)


@dataclass(frozen=True)
class Token:
    """A generation of a device; `key_version` names the key that it was made with."""

    device_id: UUID
    key_version: int
    generation: int


class Believed(Enum):
    """How far a genuine token of a device that is remembered is believed."""

    CURRENT = "current"
    JUST_SPENT = "just spent"
    STOLEN = "stolen"
    NEVER_MADE = "never made"


def written(token: Token, key: bytes) -> str:
    """Return what the device keeps."""
    head = _HEAD.pack(token.device_id.bytes, token.key_version, token.generation)
    return _PREFIX + urlsafe_b64encode(head + _mac(key, head)).decode().rstrip("=")


def read(text: str) -> Token | None:
    """Return what a text says, or None where it is no token; whether it is genuine is not known."""
    if not text.startswith(_PREFIX) or not text.isascii():
        return None
    body = text.removeprefix(_PREFIX)
    try:
        raw = urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except Error:
        return None
    if len(raw) != _HEAD.size + _MAC_LENGTH:
        return None
    device_id, key_version, generation = _HEAD.unpack_from(raw)
    if max(key_version, generation) > _MOST:
        return None
    return Token(UUID(bytes=device_id), key_version, generation)


def is_genuine(text: str, token: Token, key: bytes) -> bool:
    """Tell whether the key made this text."""
    return hmac.compare_digest(text.encode(), written(token, key).encode())


def judge(generation: int, stored: int, *, rotated_at: datetime, now: datetime) -> Believed:
    """Return how far a generation is believed where `stored` is the present one."""
    if generation == stored:
        return Believed.CURRENT
    if generation > stored:
        # After a restored backup; it says nothing of a thief.
        return Believed.NEVER_MADE
    if generation == stored - 1 and now - rotated_at <= GRACE:
        return Believed.JUST_SPENT
    return Believed.STOLEN


def _mac(key: bytes, head: bytes) -> bytes:
    return hmac.digest(key, b"device" + head, "sha256")
