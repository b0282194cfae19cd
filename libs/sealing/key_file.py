"""The key-encryption key in a local file: for development and tests.

The file holds one line a version, `<version> <64 hex digits>`, the highest version wraps.
"""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from libs.sealing.seal import KEY_LENGTH, bound

_NONCE_LENGTH = 12


class UnsafeKeyFile(Exception):  # noqa: N818
    """Others than the owner may read the key file, or it is not one."""


class KeyFile:
    """Wraps data keys under the file's newest key, unwraps them under the version they name."""

    def __init__(self, keys: dict[int, bytes]) -> None:
        self._keys = keys
        self.version = max(keys)

    def wrap(self, key: bytes, *, place: tuple[str, ...]) -> bytes:
        """Return the wrapped key: version (4 bytes), nonce (12), ciphertext."""
        head = self.version.to_bytes(4, "big")
        nonce = os.urandom(_NONCE_LENGTH)
        return head + nonce + AESGCM(self._keys[self.version]).encrypt(nonce, key, bound(place))

    def unwrap(self, wrapped: bytes, *, place: tuple[str, ...]) -> bytes:
        """Return the key; raises KeyError for a lost version, InvalidTag elsewhere."""
        version = int.from_bytes(wrapped[:4], "big")
        nonce, text = wrapped[4 : 4 + _NONCE_LENGTH], wrapped[4 + _NONCE_LENGTH :]
        return AESGCM(self._keys[version]).decrypt(nonce, text, bound(place))


def read_key_file(path: Path) -> KeyFile:
    """Read the file; raises UnsafeKeyFile where it is readable by others or malformed."""
    if path.stat().st_mode & 0o077:
        raise UnsafeKeyFile(f"{path.name} must be readable by its owner only (chmod 600)")
    keys: dict[int, bytes] = {}
    for line in path.read_text().splitlines():
        version, _, key = line.partition(" ")
        keys[int(version)] = bytes.fromhex(key)
    if not keys or any(len(key) != KEY_LENGTH for key in keys.values()):
        raise UnsafeKeyFile(f"{path.name} has no key of {KEY_LENGTH} bytes a line")
    return KeyFile(keys)


def write_key_file(path: Path) -> None:
    """Make a new key file with one key, readable by its owner only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"1 {secrets.token_hex(KEY_LENGTH)}\n")
