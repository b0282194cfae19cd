"""When two e-mail addresses count as one: for finding logins, never for sending."""

import unicodedata

from email_validator import EmailNotValidError, validate_email


def checked_address(text: str) -> str:
    """Return an address in the form in which it is kept; raises ValueError where it is none."""
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        # Its own message quotes the address.
        raise ValueError("not an e-mail address") from None


def same_address(address: str) -> str:
    """Return the one form of a checked address: equal for addresses that count as the same.

    The check has brought the domain into one form already (IDNA). That mail servers could tell
    upper from lower case in the local part (RFC 5321 section 2.4) is a difference that nobody
    means; dots and what follows a plus sign are the receiver's to give a meaning.
    """
    local, _, domain = address.rpartition("@")
    folded = unicodedata.normalize("NFC", local).casefold()
    return f"{unicodedata.normalize('NFC', folded)}@{domain}"
