"""The one form of a subject's name, as applications send it (RELIABILITY.md S4); its mailbox."""

import unicodedata
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

LONGEST = 320


def one_form(name: str) -> str:
    """Return the name unchanged, or raise ValueError where it has another form.

    Another form is refused and not mended: what two services mend differently is two subjects.
    """
    if name != name.strip() or any(unicodedata.category(letter)[0] in "CZ" for letter in name):
        raise ValueError("no white space, control or invisible characters")
    if not unicodedata.is_normalized("NFKC", name):
        raise ValueError("must be in Unicode normalisation form NFKC")
    return name


SubjectName = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=LONGEST),
    AfterValidator(one_form),
]


class Mailbox(StrEnum):
    """What may be thought of a login address; shared ones as the tenant says (requirement D6)."""

    NONE = "none"
    PERSONAL = "personal"
    SHARED_FLAGGED = "shared_flagged"
    SHARED_REFUSED = "shared_refused"
