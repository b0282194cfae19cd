"""Whom passkeys are made for (WebAuthn Level 3 section 4, relying party)."""

from pydantic import BaseModel, ConfigDict


class PasskeyParty(BaseModel):
    """Where an application uses passkeys: its relying party id, and the origins of its pages.

    An authenticator answers for one `rp_id` only: under another one all passkeys are useless.
    """

    # Readers ignore what they do not know.
    model_config = ConfigDict(frozen=True, extra="ignore")
    rp_id: str
    origins: tuple[str, ...]
