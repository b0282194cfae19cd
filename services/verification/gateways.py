"""Verification's calls to other services."""

from dataclasses import dataclass
from uuid import UUID

from contracts.internal import (
    ACKNOWLEDGE_CREDENTIAL,
    CLAIM_CREDENTIAL,
    NAME_SUBJECTS,
    AcknowledgeCredential,
    ClaimCredential,
    ClaimedCredential,
    Credential,
    NamedSubjects,
    NameSubjects,
    letter_place,
)
from libs.sealing.letter import LetterBox
from libs.web.internal_client import InternalClient


@dataclass(frozen=True)
class Owners:
    """The services that own what verification claims; calls raise Unreachable or Refused."""

    policy: InternalClient
    enrollment: InternalClient

    async def credential(
        self, *, tenant: UUID, subject_ref: UUID, authenticator_id: UUID, attempt_id: UUID
    ) -> Credential:
        """Claim a credential; Refused 410 where it was removed, 409 where it is gone for good."""
        box = LetterBox()
        claim = ClaimCredential(
            tenant=tenant,
            subject_ref=subject_ref,
            authenticator_id=authenticator_id,
            attempt_id=attempt_id,
            public_key=box.public_key,
        )
        answer = await self.enrollment.post(CLAIM_CREDENTIAL.path, claim.model_dump(mode="json"))
        letter = ClaimedCredential.model_validate(answer).letter
        place = letter_place(CLAIM_CREDENTIAL, tenant, authenticator_id, attempt_id)
        return Credential.model_validate(box.open(letter, place=place))

    async def acknowledge(self, *, tenant: UUID, authenticator_id: UUID, attempt_id: UUID) -> None:
        """Tell enrollment that its copy may go."""
        body = AcknowledgeCredential(
            tenant=tenant, authenticator_id=authenticator_id, attempt_id=attempt_id
        )
        await self.enrollment.post(ACKNOWLEDGE_CREDENTIAL.path, body.model_dump(mode="json"))

    async def name(self, *, tenant: UUID, subject_ref: UUID) -> str | None:
        """Return what applications call this subject, or None where policy knows it no more."""
        box = LetterBox()
        question = NameSubjects(
            tenant=tenant, subject_refs=(subject_ref,), public_key=box.public_key
        )
        answer = await self.policy.post(NAME_SUBJECTS.path, question.model_dump(mode="json"))
        letter = NamedSubjects.model_validate(answer).letter
        names = box.open(letter, place=letter_place(NAME_SUBJECTS, tenant)).get("names")
        found = names.get(str(subject_ref)) if isinstance(names, dict) else None
        return found if isinstance(found, str) else None
