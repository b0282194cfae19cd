"""A letter that only the asker of one call can open: HPKE, base mode (RFC 9180).

The asker makes a key pair for the call and sends the public key; what comes back is sealed to it
and bound to the call, so that the secret stands in no log, proxy or memory dump between the two.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from libs.sealing.seal import SealBroken, bound

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class LetterBox:
    """The asker's key pair, for one call."""

    def __init__(self) -> None:
        self._private_key = X25519PrivateKey.generate()

    @property
    def public_key(self) -> str:
        """Return the key to send along, in base64."""
        return b64encode(self._private_key.public_key().public_bytes_raw()).decode()

    def open(self, letter: str, *, place: Sequence[str]) -> dict[str, object]:
        """Return what was written; raises SealBroken for another key, another place or a change."""
        try:
            raw = b64decode(letter, validate=True)
            text = _SUITE.decrypt(raw, self._private_key, info=bound(place))
        except (InvalidTag, ValueError):
            raise SealBroken("not a letter to this call") from None
        content: dict[str, object] = json.loads(text)
        return content


def write_letter(public_key: str, content: dict[str, object], *, place: Sequence[str]) -> str:
    """Seal `content` to the asker's key, in base64; raises ValueError for a malformed key."""
    key = X25519PublicKey.from_public_bytes(b64decode(public_key, validate=True))
    letter = _SUITE.encrypt(json.dumps(content).encode(), key, info=bound(place))
    return b64encode(letter).decode()
