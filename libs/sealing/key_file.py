"""The key-encryption key in a local file: for development and tests.

The file holds one line a version, `<version> <64 hex digits>`, the highest version wraps.
"""

import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from libs.sealing.providers import Wrapped, refuse_foreign
from libs.sealing.seal import KEY_LENGTH, bound
from libs.sealing.trouble import KeyRefused, KeysUnavailable

_NONCE_LENGTH = 12


class UnsafeKeyFile(Exception):  # noqa: N818
    """Others than the owner may read the key file, or it is not one."""


class KeyFile:
    """Wraps data keys under the file's newest key, unwraps them under the version they name."""

    def __init__(self, keys: dict[int, bytes]) -> None:
        self._keys = keys
        self.version = max(keys)

    def wrap(self, key: bytes, *, place: Sequence[str]) -> bytes:
        """Return the wrapped key: version (4 bytes), nonce (12), ciphertext."""
        head = self.version.to_bytes(4, "big")
        nonce = os.urandom(_NONCE_LENGTH)
        return head + nonce + AESGCM(self._keys[self.version]).encrypt(nonce, key, bound(place))

    def unwrap(self, wrapped: bytes, *, place: Sequence[str]) -> bytes:
        """Return the key; raises KeyError for a lost version, InvalidTag elsewhere."""
        version = int.from_bytes(wrapped[:4], "big")
        nonce, text = wrapped[4 : 4 + _NONCE_LENGTH], wrapped[4 + _NONCE_LENGTH :]
        return AESGCM(self._keys[version]).decrypt(nonce, text, bound(place))


class FileProvider:
    """Wraps under a file that is read anew for each key: a line that is added counts at once."""

    name = "file"

    def __init__(self, read: Callable[[], KeyFile]) -> None:
        self._read = read

    async def newest_version(self) -> int:
        """Return the highest version in the file."""
        return self._present().version

    async def wrap(self, key: bytes, *, place: Sequence[str]) -> Wrapped:
        """Return the key, wrapped under the highest version."""
        keys = self._present()
        return Wrapped(self.name, keys.version, keys.wrap(key, place=place))

    async def unwrap(self, wrapped: Wrapped, *, place: Sequence[str]) -> bytes:
        """Return the key; raises KeyRefused for a version that is not in the file."""
        refuse_foreign(wrapped, self.name)
        try:
            return self._present().unwrap(wrapped.value, place=place)
        except KeyError:
            raise KeyRefused(f"version {wrapped.version} is not in the key file") from None
        except (InvalidTag, ValueError):
            raise KeyRefused("not wrapped with this key for this place") from None

    def _present(self) -> KeyFile:
        try:
            return self._read()
        except UnsafeKeyFile as error:
            raise KeyRefused(str(error)) from None
        except OSError as error:
            raise KeysUnavailable(f"the key file: {type(error).__name__}") from None


def read_key_file(path: Path) -> KeyFile:
    """Read the file; raises UnsafeKeyFile where it is readable by others or malformed."""
    if path.stat().st_mode & 0o077:
        raise UnsafeKeyFile(f"{path.name} must be readable by its owner only (chmod 600)")
    keys: dict[int, bytes] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        version, _, key = line.partition(" ")
        try:
            keys[int(version)] = bytes.fromhex(key)
        except ValueError:
            # Not quoted: it may be a key.
            raise UnsafeKeyFile(f"{path.name}, line {number}: not a version and a key") from None
    if not keys or any(len(key) != KEY_LENGTH for key in keys.values()):
        raise UnsafeKeyFile(f"{path.name} has no key of {KEY_LENGTH} bytes a line")
    return KeyFile(keys)


def write_key_file(path: Path) -> None:
    """Make a new key file with one key, readable by its owner only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"1 {secrets.token_hex(KEY_LENGTH)}\n")


def add_key(path: Path) -> int:
    """Add the next version to a key file, which wraps from then on; returns it.

    The file is replaced in one step: whoever reads it meanwhile finds the old one or the new one.
    """
    version = read_key_file(path).version + 1
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{path.read_text().rstrip()}\n{version} {secrets.token_hex(KEY_LENGTH)}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return version
