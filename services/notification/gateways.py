"""Notification's calls to other services."""

from dataclasses import dataclass
from uuid import UUID

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.internal import (
    ACKNOWLEDGE_CODE,
    ACKNOWLEDGE_CONTACT,
    CLAIM_CODE,
    CLAIM_CONTACT,
    AcknowledgeCode,
    AcknowledgeContact,
    ClaimCode,
    ClaimContact,
    ClaimedCode,
    ClaimedContact,
    letter_place,
)
from contracts.vocabulary import Language
from libs.sealing.letter import LetterBox
from libs.web.internal_client import InternalClient, Refused, Unreachable
from services.notification.domain.message import Code, Contact, Message

_LOG = structlog.get_logger("contacts")
# 404: policy knows nobody any more. 409: another message has had this event's address, before our
# own was made or forgotten. 410: this message has ended. Anything else may be mended.
_FINAL = (404, 409, 410)


class _CodeLetter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    code: str
    application: str
    number: str | None


class _Letter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    email: str | None
    language: Language


@dataclass(frozen=True)
class Contacts:
    """Policy, which owns addresses; calls raise Unreachable, Refused or SealBroken."""

    policy: InternalClient

    async def claim(self, message: Message) -> Contact | None:
        """Return where the person is reached now, or None where this message never hears it.

        The message's id is the attempt: asking again with it gives an answer again.
        """
        box = LetterBox()
        question = ClaimContact(
            tenant=message.tenant,
            subject_ref=message.subject_ref,
            caused_by=message.caused_by,
            attempt_id=message.message_id,
            public_key=box.public_key,
        )
        try:
            answer = await self.policy.post(CLAIM_CONTACT.path, question.model_dump(mode="json"))
        except Refused as refusal:
            if refusal.status not in _FINAL:
                raise
            about = str(message.message_id)
            _LOG.warning("address not given", message_id=about, status=refusal.status)
            return None
        return _opened(answer, box, message)

    async def acknowledge(self, message: Message) -> None:
        """Tell policy that the message has ended; where that is lost, the claim expires."""
        body = AcknowledgeContact(
            tenant=message.tenant, caused_by=message.caused_by, attempt_id=message.message_id
        )
        try:
            await self.policy.post(ACKNOWLEDGE_CONTACT.path, body.model_dump(mode="json"))
        except (Unreachable, Refused) as error:
            about = str(message.message_id)
            _LOG.info("claim not acknowledged", message_id=about, cause=type(error).__name__)


def _opened(answer: dict[str, object], box: LetterBox, message: Message) -> Contact:
    place = letter_place(CLAIM_CONTACT, message.tenant, message.subject_ref, message.message_id)
    try:
        sealed = ClaimedContact.model_validate(answer).letter
        letter = _Letter.model_validate(box.open(sealed, place=place))
    except ValidationError:
        raise Unreachable("policy: an answer that is not in the contract") from None
    return Contact(email=letter.email, language=letter.language)


@dataclass(frozen=True)
class Codes:
    """Enrollment, which makes codes; calls raise Unreachable, Refused or SealBroken."""

    enrollment: InternalClient

    async def claim(self, message: Message, code_id: UUID) -> Code | None:
        """Return what is to be sent, or None where it is to be sent no more, or by another."""
        box = LetterBox()
        question = ClaimCode(
            tenant=message.tenant,
            subject_ref=message.subject_ref,
            code_id=code_id,
            attempt_id=message.message_id,
            public_key=box.public_key,
        )
        body = question.model_dump(mode="json")
        try:
            answer = await self.enrollment.post(CLAIM_CODE.path, body)
        except Refused as refusal:
            if refusal.status not in _FINAL:
                raise
            about = str(message.message_id)
            _LOG.info("code not given", message_id=about, status=refusal.status)
            return None
        place = letter_place(CLAIM_CODE, message.tenant, code_id, message.message_id)
        try:
            sealed = ClaimedCode.model_validate(answer).letter
            letter = _CodeLetter.model_validate(box.open(sealed, place=place))
        except ValidationError:
            raise Unreachable("enrollment: an answer that is not in the contract") from None
        return Code(letter.code, letter.application, letter.number)

    async def acknowledge(self, message: Message, code_id: UUID) -> None:
        """Tell enrollment that the message has ended; where that is lost, the code expires."""
        body = AcknowledgeCode(
            tenant=message.tenant, code_id=code_id, attempt_id=message.message_id
        )
        try:
            await self.enrollment.post(ACKNOWLEDGE_CODE.path, body.model_dump(mode="json"))
        except (Unreachable, Refused) as error:
            about = str(message.message_id)
            _LOG.info("code not acknowledged", message_id=about, cause=type(error).__name__)
