"""Going on with an enrollment on another device (NIST SP 800-63B-4 section 4.1.2.2, binding codes).

A link carries 128 bits, and is enough by itself; a code to type has 40 bits, and is good together
with the subject's name only. Each is good once, for ten minutes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from services.enrollment.domain.recovery_codes import ALPHABET

LIFETIME = timedelta(minutes=10)
TRIES = 5
LINK_BITS = 128
# 8 characters of 5 bits.
_CODE_LENGTH = 8
_HALF = _CODE_LENGTH // 2
_CODE = re.compile(f"[{ALPHABET}]{{{_HALF}}}-[{ALPHABET}]{{{_HALF}}}")


@dataclass(frozen=True)
class Handover:
    """An enrollment that may go on elsewhere, by digests of what was handed out."""

    enrollment_id: UUID
    subject_ref: UUID
    link_digest: bytes = field(repr=False)
    code_digest: bytes = field(repr=False)
    tries_left: int
    expires: datetime


def new_code(choose: Callable[[str], str]) -> str:
    """Return a code to type, written ABCD-EFGH; `choose` picks one of the letters at random."""
    letters = "".join(choose(ALPHABET) for _ in range(_CODE_LENGTH))
    return f"{letters[:_HALF]}-{letters[_HALF:]}"


def is_code(text: str) -> bool:
    """Tell whether the text is a code in its one form; nothing is trimmed or translated."""
    return _CODE.fullmatch(text) is not None


def is_open(handover: Handover, now: datetime) -> bool:
    """Tell whether it can still be taken, by its link; a code has its tries, too."""
    return now < handover.expires


def after_wrong_code(handover: Handover) -> Handover:
    """Return it with one try less."""
    return replace(handover, tries_left=handover.tries_left - 1)
