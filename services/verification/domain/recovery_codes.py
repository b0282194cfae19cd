"""Recovery codes: look-up secrets of 50 bits that are each accepted once (NIST 800-63B-4 3.1.2).

A code is ten characters of Crockford's base32, written ABCDE-FGHJK. The first two select one of the
set, so that a guess is compared with one code only; of the whole a keyed, salted digest is kept.
"""

import hmac
import re
import struct
from collections.abc import Sequence

# Possible codes, and the most of them that one set holds (a bit of one number each, store/).
SPACE = 32**10
MOST_CODES = 32
SALT_LENGTH = 16

# No I, L, O, U: they are read as 1, 1, 0, V. One form only: they are not translated either.
_FORM = re.compile("[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5}")
_SELECTOR_LENGTH = 2
_HEAD = struct.Struct(">I")
_ENTRY = struct.Struct(f">{_SELECTOR_LENGTH}s{SALT_LENGTH}s32s")
# What is compared where no code is selected, so that it takes as long.
_NOBODYS = (b"", bytes(SALT_LENGTH), bytes(32))


def is_recovery_code(text: str) -> bool:
    """Tell whether the text is a code in its one form; nothing is trimmed or translated."""
    return _FORM.fullmatch(text) is not None


def digests_of(codes: Sequence[str], salts: Sequence[bytes], *, key: bytes, version: int) -> bytes:
    """Return what is kept of a set of codes, under one version of the tenant's key."""
    entries = (
        _ENTRY.pack(_selector(code), salt, _digest(key, salt, code))
        for code, salt in zip(codes, salts, strict=True)
    )
    return _HEAD.pack(version) + b"".join(entries)


def key_version_of(kept: bytes) -> int:
    """Return under which version of the tenant's key the set was made."""
    version: int = _HEAD.unpack_from(kept)[0]
    return version


def matching_place(kept: bytes, code: str, *, key: bytes) -> int | None:
    """Return the place of this code in its set, or None; whether it was used, the row knows.

    One digest is computed and compared, whether the selector is known or not.
    """
    if not is_recovery_code(code):
        return None
    selected, place = _NOBODYS, None
    for number, entry in enumerate(_ENTRY.iter_unpack(kept[_HEAD.size :])):
        if entry[0] == _selector(code):
            selected, place = entry, number
    _, salt, expected = selected
    return place if hmac.compare_digest(expected, _digest(key, salt, code)) else None


def _selector(code: str) -> bytes:
    return code[:_SELECTOR_LENGTH].encode()


def _digest(key: bytes, salt: bytes, code: str) -> bytes:
    return hmac.digest(key, salt + code.encode(), "sha256")
