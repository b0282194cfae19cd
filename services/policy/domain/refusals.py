"""The ways in which policy says no."""

from dataclasses import dataclass
from enum import Enum
from uuid import UUID


class Refusal(Enum):
    """What was asked cannot be done, and why."""

    UNKNOWN = "unknown"
    KEY_REVOKED = "key revoked"
    TOO_MANY_KEYS = "too many keys"
    LAST_OWNER_KEY = "last owner's key"
    OWNER_NEEDED = "owner needed"
    TWO_OWNERS_NEEDED = "two owners needed"
    HOLDER_NEEDED = "holder needed"
    SECOND_PERSON_NEEDED = "second person needed"
    TOO_MANY_PROPOSALS = "too many proposals"
    FOUR_EYES = "four eyes"
    HOLDER_UNKNOWN = "holder unknown"
    PROPOSAL_DECIDED = "proposal decided"
    PROPOSAL_EXPIRED = "proposal expired"
    PROPOSAL_STALE = "proposal stale"
    NO_FACTOR = "no factor"
    NO_FACTOR_AT_LOGIN = "no factor at login"
    FACTOR_NOT_AVAILABLE = "factor not available"
    LABEL_TAKEN = "label taken"
    CLAIMED_BY_ANOTHER = "claimed by another"
    GONE = "gone"
    OTHER_RULES_IN_FORCE = "other rules in force"
    OTHER_PART = "other part"
    PART_MISSING = "part missing"
    ROWS_MISSING = "rows missing"
    IMPORT_CLOSED = "import closed"
    TOO_MANY_IMPORTS = "too many imports"


@dataclass(frozen=True)
class SubjectExists:
    """The application's id of a subject is known already, under this `subject_ref`."""

    subject_ref: UUID


@dataclass(frozen=True)
class Mistakes:
    """What was sent cannot be used as it is, and why, in words."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Unreadable:
    """A part of an import cannot be split into rows, and where, in words that quote nothing."""

    words: tuple[str, ...]
