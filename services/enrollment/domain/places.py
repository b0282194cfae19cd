"""What each kind of sealed value is bound to."""

from uuid import UUID

from contracts.vocabulary import Factor
from services.enrollment.domain.authenticator import FIRST_EPOCH

SECRET = "pending secret"  # noqa: S105 - the name of a purpose
NAME = "authenticator name"
CONFIRMATION = "confirmation"
MESSAGE = "message"
DIGEST = "digest"
STOCK = "hardware token"
IMPORT_PART = "import part"
LOOKUP = "secret lookup"
LASTING = "lasting digest"


def secret_place(
    tenant: UUID, subject_ref: UUID, *, authenticator_id: UUID, factor: Factor
) -> tuple[str, ...]:
    """Return where a secret belongs from the start of the enrollment until it was claimed."""
    owner = (str(tenant), str(subject_ref), str(authenticator_id))
    return (SECRET, *owner, factor.value, str(FIRST_EPOCH))


def name_place(tenant: UUID, subject_ref: UUID, *, owner: UUID) -> tuple[str, ...]:
    """Return where the name of an authenticator, or the label of an enrollment, belongs."""
    return (NAME, str(tenant), str(subject_ref), str(owner))


def message_place(tenant: UUID, subject_ref: UUID, *, code_id: UUID) -> tuple[str, ...]:
    """Return where what is to be sent belongs."""
    return (MESSAGE, str(tenant), str(subject_ref), str(code_id))


def token_place(tenant: UUID, token_id: UUID, *, factor: Factor) -> tuple[str, ...]:
    """Return where the secret of a token in stock belongs."""
    return (STOCK, str(tenant), str(token_id), factor.value)


def part_place(tenant: UUID, import_id: UUID, number: int) -> tuple[str, ...]:
    """Return where the rows of an import belong that wait."""
    return (IMPORT_PART, str(tenant), str(import_id), str(number))
