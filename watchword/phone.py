"""An authenticator app for trials, by an independent implementation (pyotp)."""

import binascii
import time

import pyotp


def code(key: str, *, wait: bool) -> str:
    """Return the code of now or, with `wait`, the next one once it shows.

    Raises ValueError for what is no base32 key.
    """
    totp = pyotp.TOTP(key.replace(" ", "").upper())
    try:
        shown = totp.now()
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not a base32 key: {error}") from None
    if not wait:
        return shown
    time.sleep(totp.interval - time.time() % totp.interval)
    return totp.now()
