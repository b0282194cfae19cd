"""The name that a person gives an authenticator, such as "my old phone"."""

import unicodedata

LONGEST = 64


def is_name(text: str) -> bool:
    """Tell whether the text is 1 to 64 visible characters in NFC, without outer white space."""
    if not 1 <= len(text) <= LONGEST or text != text.strip() or not text.isprintable():
        return False
    return unicodedata.is_normalized("NFC", text)
