"""Notification's calls to other services."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.internal import CLAIM_CONTACT, ClaimContact, ClaimedContact, letter_place
from contracts.vocabulary import Language
from libs.sealing.letter import LetterBox
from libs.web.internal_client import InternalClient, Refused, Unreachable
from services.notification.domain.message import Contact, Message

_NOT_FOUND = 404


class _Letter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    email: str | None
    language: Language


@dataclass(frozen=True)
class Contacts:
    """Policy, which owns addresses; calls raise Unreachable, Refused or SealBroken."""

    policy: InternalClient

    async def claim(self, message: Message) -> Contact | None:
        """Return where the person is reached now, or None where policy knows nobody any more.

        The message's id is the attempt: asking again with it gives an answer again.
        """
        box = LetterBox()
        question = ClaimContact(
            tenant=message.tenant,
            subject_ref=message.subject_ref,
            attempt_id=message.message_id,
            public_key=box.public_key,
        )
        try:
            answer = await self.policy.post(CLAIM_CONTACT.path, question.model_dump(mode="json"))
        except Refused as refusal:
            if refusal.status == _NOT_FOUND:
                return None
            raise
        place = letter_place(CLAIM_CONTACT, message.tenant, message.subject_ref, message.message_id)
        try:
            sealed = ClaimedContact.model_validate(answer).letter
            letter = _Letter.model_validate(box.open(sealed, place=place))
        except ValidationError:
            raise Unreachable("policy: an answer that is not in the contract") from None
        return Contact(email=letter.email, language=letter.language)
