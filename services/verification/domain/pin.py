"""A PIN, kept as an argon2id hash; checking it takes a while, so never on the event loop."""

from argon2.exceptions import VerifyMismatchError
from argon2.low_level import Type, verify_secret


def pin_holds(stored_hash: bytes, pin: str) -> bool:
    """Tell whether this is the PIN."""
    try:
        return verify_secret(stored_hash, pin.encode(), Type.ID)
    except VerifyMismatchError:
        return False
