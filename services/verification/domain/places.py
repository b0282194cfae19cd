"""What each kind of sealed value is bound to, and what each of the tenants' keys is for."""

from uuid import UUID

LOOKUP = "subject lookup"
CREDENTIAL = "credential"
RECEIPT_KEY = "receipt key"
DEVICE = "remembered device"
RECOVERY_CODES = "recovery codes"


def credential_place(
    tenant: UUID, subject_ref: UUID, *, authenticator_id: UUID, factor: str, epoch: int
) -> tuple[str, ...]:
    """Return where a credential belongs; a copy in any other row does not open."""
    return (
        CREDENTIAL,
        str(tenant),
        str(subject_ref),
        str(authenticator_id),
        factor,
        str(epoch),
    )


def receipt_key_place(key_id: str) -> tuple[str, ...]:
    """Return where a private key that signs receipts belongs; it is the whole deployment's."""
    return (RECEIPT_KEY, key_id)
