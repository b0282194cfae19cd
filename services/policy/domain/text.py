"""The one form in which a text from outside is taken: what looks the same is the same."""

import unicodedata

# Control, format (zero-width), surrogate, private use, unassigned; line and paragraph separators.
# A code point that is unassigned today may be normalised tomorrow.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def has_one_form(text: str) -> bool:
    """Tell whether the text has no outer white space, nothing unseen, and is NFC (UAX #15)."""
    if not text or text != text.strip():
        return False
    if text.isascii() and text.isprintable():
        # Most texts; looking at each letter takes ten times as long, and imports have many.
        return True
    if any(_is_unseen(letter) for letter in text):
        return False
    return unicodedata.is_normalized("NFC", text)


def _is_unseen(letter: str) -> bool:
    category = unicodedata.category(letter)
    return category in _UNSEEN or (category == "Zs" and letter != " ")
