"""Enrollment's calls to other services."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import ValidationError

from contracts.internal import (
    RECEIPT_KEYS,
    RESOLVE_SUBJECT,
    RESOLVE_SUBJECTS,
    REVOKE,
    AskReceiptKeys,
    Done,
    ReceiptKeys,
    ResolvedSubject,
    ResolvedSubjects,
    ResolveSubject,
    ResolveSubjects,
    Revoke,
    RevokedAuthenticator,
    letter_place,
)
from contracts.subjects import Mailbox
from libs.clock import Clock
from libs.sealing.letter import LetterBox
from libs.sealing.seal import SealBroken
from libs.web.internal_client import InternalClient, Refused, Unreachable
from services.enrollment.domain.authenticator import Authenticator

_LOG = structlog.get_logger("enrollment")
# A receipt under a key that nobody knows makes us ask, and not each of many such receipts.
_ASK_AGAIN = timedelta(seconds=5)
# A key is published a day before it signs, and withdrawn an hour after the last that it signed.
_MOST_STALE = timedelta(hours=1)
# So many of the longest names fit in a body.
_AT_ONCE = 250


@dataclass(frozen=True)
class KnownSubject:
    """Whom the application means, what to call them in an authenticator app, and what they are.

    `groups` is None where policy did not say what they are.
    """

    subject_ref: UUID
    label: str = field(repr=False)
    user_type: str | None = None
    groups: Sequence[str] | None = None
    mailbox: Mailbox | None = None


@dataclass(frozen=True)
class Policy:
    """Policy, which knows who is who."""

    client: InternalClient

    async def resolve(self, tenant: UUID, subject: str) -> KnownSubject | None:
        """Return the subject, or None where there is none; raises Unreachable."""
        box = LetterBox()
        question = ResolveSubject(tenant=tenant, subject=subject, public_key=box.public_key)
        try:
            answer = await self.client.post(RESOLVE_SUBJECT.path, question.model_dump(mode="json"))
            resolved = ResolvedSubject.model_validate(answer)
            place = letter_place(RESOLVE_SUBJECT, tenant, subject)
            label = str(box.open(resolved.letter, place=place)["label"])
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise Unreachable(f"policy: {refusal.status}") from None
        except (ValidationError, SealBroken, KeyError):
            raise Unreachable("policy: not an answer to the question") from None
        return KnownSubject(
            resolved.subject_ref, label, resolved.user_type, resolved.groups, resolved.mailbox
        )

    async def resolve_many(self, tenant: UUID, subjects: Sequence[str]) -> dict[str, UUID]:
        """Return who those of the names are that there are; raises Unreachable."""
        found: dict[str, UUID] = {}
        for first in range(0, len(subjects), _AT_ONCE):
            some = tuple(subjects[first : first + _AT_ONCE])
            question = ResolveSubjects(tenant=tenant, subjects=some)
            body = question.model_dump(mode="json")
            try:
                answer = await self.client.post(RESOLVE_SUBJECTS.path, body)
                refs = ResolvedSubjects.model_validate(answer).subject_refs
                pairs = list(zip(some, refs, strict=True))
            except Refused as refusal:
                raise Unreachable(f"policy: {refusal.status}") from None
            except ValueError:
                raise Unreachable("policy: not an answer to the question") from None
            found |= {name: ref for name, ref in pairs if ref is not None}
        return found


@dataclass
class _Keys:
    """A copy of the keys by which receipts are signed."""

    by_id: Mapping[str, OKPKey] = field(default_factory=dict)
    asked_at: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    answered: bool = False
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True)
class Verification:
    """Verification, which accepts codes and signs receipts of it."""

    client: InternalClient
    clock: Clock
    _keys: _Keys = field(default_factory=_Keys)

    async def receipt_keys(self, key_id: str) -> Mapping[str, OKPKey]:
        """Return the keys of receipts, asked for anew where this one is missing or they are old.

        Raises Unreachable where verification does not say.
        """
        if self._is_due(key_id):
            async with self._keys.asking:
                # Whoever waited finds what the first one was told.
                if self._is_due(key_id):
                    await self.fetch_keys()
        if key_id not in self._keys.by_id and not self._keys.answered:
            raise Unreachable("verification: did not answer a moment ago")
        return self._keys.by_id

    async def fetch_keys(self) -> None:
        """Take a new copy of the keys of receipts; raises Unreachable."""
        self._keys.asked_at, self._keys.answered = self.clock(), False
        self._keys.by_id = await self._receipt_keys()
        self._keys.answered = True

    def _is_due(self, key_id: str) -> bool:
        age = self.clock() - self._keys.asked_at
        return age >= (_MOST_STALE if key_id in self._keys.by_id else _ASK_AGAIN)

    async def _receipt_keys(self) -> Mapping[str, OKPKey]:
        body = AskReceiptKeys().model_dump(mode="json")
        try:
            answer = ReceiptKeys.model_validate(await self.client.post(RECEIPT_KEYS.path, body))
        except (Refused, ValidationError) as error:
            raise Unreachable(f"verification: {type(error).__name__}") from None
        found = [_key(text) for text in answer.keys]
        return {str(key.kid): key for key in found if key is not None}

    async def revoke(
        self,
        tenant: UUID,
        subject_ref: UUID,
        *,
        removed: Sequence[Authenticator],
        reset_id: UUID | None,
    ) -> bool:
        """Tell whether verification has committed that it accepts none of these any more."""
        body = Revoke(
            tenant=tenant,
            subject_ref=subject_ref,
            authenticators=tuple(_revoked(one) for one in removed),
            reset_id=reset_id,
        )
        try:
            answer = await self.client.post(REVOKE.path, body.model_dump(mode="json"))
            effective, cause = Done.model_validate(answer).effective, "not effective yet"
        except (Unreachable, Refused, ValidationError) as error:
            effective, cause = False, type(error).__name__
        if not effective:
            _LOG.error("revocation pending", subject_ref=str(subject_ref), cause=cause)
        return effective


def _key(text: str) -> OKPKey | None:
    try:
        return OKPKey.import_key(json.loads(text))
    except (JoseError, ValueError, LookupError, TypeError):
        # Of a later release, of another kind: what it signs is refused here.
        _LOG.warning("a key of receipts cannot be read")
        return None


def _revoked(one: Authenticator) -> RevokedAuthenticator:
    return RevokedAuthenticator(
        authenticator_id=one.authenticator_id, factor=one.factor, epoch=one.epoch
    )
