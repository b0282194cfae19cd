"""Whom passkeys are made for (WebAuthn Level 3 section 4, relying party)."""

from pydantic import BaseModel

from contracts.envelope import PUBLISHED


class PasskeyParty(BaseModel):
    """Where an application uses passkeys: its relying party id, and the origins of its pages.

    An authenticator answers for one `rp_id` only: under another one all passkeys are useless.
    """

    model_config = PUBLISHED
    rp_id: str
    origins: tuple[str, ...]
