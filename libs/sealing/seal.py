"""AES-256-GCM (NIST SP 800-38D) over one secret, bound to where it belongs.

A sealed value is `format (1 byte) | data key version (4) | nonce (12) | ciphertext and tag`.
"""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORMAT = 1
_HEAD = struct.Struct(">BI")
_NONCE_LENGTH = 12
KEY_LENGTH = 32


class SealBroken(Exception):  # noqa: N818
    """The value was not sealed with this key for this place."""


@dataclass(frozen=True)
class DataKey:
    """A tenant's key for one purpose, unwrapped."""

    version: int
    key: bytes

    @cached_property
    def cipher(self) -> AESGCM:
        """Return the cipher of this key; making it costs as much as using it."""
        return AESGCM(self.key)

    def __repr__(self) -> str:
        """Never show the key."""
        return f"DataKey(version={self.version})"


def seal(data_key: DataKey, secret: bytes, *, place: Sequence[str]) -> bytes:
    """Seal a secret for one place, such as tenant, subject, authenticator, factor and epoch."""
    head = _HEAD.pack(_FORMAT, data_key.version)
    nonce = os.urandom(_NONCE_LENGTH)
    return head + nonce + data_key.cipher.encrypt(nonce, secret, head + bound(place))


def open_seal(data_key: DataKey, sealed: bytes, *, place: Sequence[str]) -> bytes:
    """Return the secret; raises SealBroken for another key, another place or a changed value."""
    if key_version(sealed) != data_key.version:
        raise SealBroken("sealed with another version of the key")
    head, nonce = sealed[: _HEAD.size], sealed[_HEAD.size : _HEAD.size + _NONCE_LENGTH]
    try:
        return data_key.cipher.decrypt(
            nonce, sealed[_HEAD.size + _NONCE_LENGTH :], head + bound(place)
        )
    except (InvalidTag, ValueError):
        raise SealBroken("not sealed with this key for this place") from None


def key_version(sealed: bytes) -> int:
    """Return which version of the data key a value needs; raises SealBroken for other bytes."""
    if len(sealed) < _HEAD.size + _NONCE_LENGTH or sealed[0] != _FORMAT:
        raise SealBroken("not a sealed value")
    version: int = _HEAD.unpack_from(sealed)[1]
    return version


def bound(place: Sequence[str]) -> bytes:
    """Return the associated data: every part with its length, so that no two places look alike."""
    data = b""
    for part in place:
        encoded = part.encode()
        data += len(encoded).to_bytes(4, "big") + encoded
    return data
