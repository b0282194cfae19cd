"""Under which digest a subject's name is found; the name itself is not kept."""

import hmac

DIGEST_LENGTH = 32


def lookup_digest(key: bytes, subject: str) -> bytes:
    """Return HMAC-SHA256 of the name under the tenant's key; the name has one form already."""
    return hmac.digest(key, b"subject" + subject.encode(), "sha256")


def request_digest(key: bytes, *parts: str) -> bytes:
    """Return HMAC-SHA256 over length-prefixed parts, to compare a repeat with the first."""
    encoded = (part.encode() for part in parts)
    framed = b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
    return hmac.digest(key, b"request" + framed, "sha256")
