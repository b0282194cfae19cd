"""Which addresses a message may go to."""

from email_validator import EmailNotValidError, validate_email


def usable_address(text: str) -> str | None:
    """Return the address as it stands in an envelope, or None for anything else than one address.

    A quoted local part, a comment, a route, a second address or a line break is not usable, so none
    of them can reach a header or an SMTP command. A domain is in ASCII (IDNA).
    """
    try:
        address = validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        return None
    return f"{address.local_part}@{address.ascii_domain}"
