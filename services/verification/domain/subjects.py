"""Under which digest a subject's name is found; the name itself is not kept."""

from hashlib import blake2b

_LENGTH = 32

DIGEST_LENGTH = 32


def lookup_digest(key: bytes, subject: str) -> bytes:
    """Return keyed BLAKE2b (RFC 7693) of the name; the name has one form already."""
    return blake2b(subject.encode(), digest_size=_LENGTH, key=key, person=b"subject").digest()


def request_digest(key: bytes, *parts: str) -> bytes:
    """Return keyed BLAKE2b over length-prefixed parts, to compare a repeat with the first."""
    data = b""
    for part in parts:
        encoded = part.encode()
        data += len(encoded).to_bytes(4, "big") + encoded
    return blake2b(data, digest_size=_LENGTH, key=key, person=b"request").digest()
