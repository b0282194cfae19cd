"""What an authenticator app is given: the otpauth URI (Google's Key URI format), or a key to type.

https://github.com/google/google-authenticator/wiki/Key-Uri-Format
"""

import hashlib
from base64 import b32encode
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from services.enrollment.domain.totp import Totp

# Percent-encoded; so the QR code stays coarse enough for a phone's camera (version 20 or less).
_LONGEST_ISSUER = 120
_LONGEST_LABEL = 360
# Looks like the colon that the format reserves for the place between issuer and label.
_COLON = "\N{MODIFIER LETTER COLON}"


@dataclass(frozen=True)
class KeyShown:
    """What is shown once: the URI for a QR code, and the same key for typing, in groups of four."""

    uri: str = field(repr=False)
    key: str = field(repr=False)


def key_shown(secret: bytes, parameters: Totp, *, issuer: str, label: str) -> KeyShown:
    """Return what carries this secret into an app, as `issuer` and `label` of the entry."""
    key = b32encode(secret).decode().rstrip("=")
    issuer = _fitting(issuer.replace(":", _COLON), longest=_LONGEST_ISSUER)
    # Colons of the label stay: readers split at the first one, and labels must remain distinct.
    label = _fitting(label, longest=_LONGEST_LABEL)
    query = {
        "secret": key,
        "issuer": issuer,
        "algorithm": parameters.algorithm.value,
        "digits": parameters.digits,
        "period": parameters.period,
    }
    name = f"{quote(issuer, safe='')}:{quote(label, safe='')}"
    uri = f"otpauth://totp/{name}?{urlencode(query, quote_via=quote, safe='')}"
    return KeyShown(uri, key=_in_groups(key))


def _fitting(text: str, *, longest: int) -> str:
    """Shorten a text that is too long when encoded; two different texts stay different."""
    if len(quote(text, safe="")) <= longest:
        return text
    mark = "~" + hashlib.sha256(text.encode()).hexdigest()[:12]
    while len(quote(text + mark, safe="")) > longest:
        text = text[:-1]
    return text + mark


def _in_groups(key: str) -> str:
    return " ".join(key[start : start + 4] for start in range(0, len(key), 4))
