"""Policy and verification, as enrollment sees them; both check who calls."""

import asyncio
import json
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI
from joserfc import jws
from joserfc.jwk import OKPKey

from contracts.internal import (
    RECEIPT_KEYS,
    RESOLVE_SUBJECT,
    RESOLVE_SUBJECTS,
    REVOKE,
    AskReceiptKeys,
    Done,
    InternalRoute,
    ReceiptKeys,
    ResolvedSubject,
    ResolvedSubjects,
    ResolveSubject,
    ResolveSubjects,
    Revoke,
    letter_place,
)
from contracts.subjects import Mailbox
from contracts.vocabulary import Language
from libs.clock import Clock
from libs.sealing.letter import write_letter
from libs.web.identity import InternalCallers
from libs.web.problems import Problem, answer_with_problems
from tests.fixtures.services import identity_of


@dataclass
class Neighbours:
    """What they know, what they were told, and whether they answer."""

    clock: Clock
    subjects: dict[tuple[UUID, str], tuple[UUID, str]] = field(default_factory=dict)
    user_types: dict[UUID, str] = field(default_factory=dict)
    mailboxes: dict[UUID, Mailbox] = field(default_factory=dict)
    policy_down: bool = False
    # One of an earlier release says none.
    says_attributes: bool = True
    verification_down: bool = False
    revoked: list[Revoke] = field(default_factory=list)
    held: asyncio.Event | None = None
    # How often verification was asked by which keys receipts are signed.
    keys_asked: int = 0
    receipt_key: OKPKey = field(default_factory=lambda: OKPKey.generate_key("Ed25519"))

    def policy(self) -> FastAPI:
        app = FastAPI()
        answer_with_problems(app)

        @app.post(RESOLVE_SUBJECT.path, dependencies=[Depends(self._listed(RESOLVE_SUBJECT))])
        async def resolve(body: ResolveSubject) -> ResolvedSubject:
            if self.policy_down:
                raise Problem(503, "unavailable", "Down")
            if (body.tenant, body.subject) not in self.subjects:
                raise Problem(404, "not_found", "Unknown")
            subject_ref, label = self.subjects[body.tenant, body.subject]
            place = letter_place(RESOLVE_SUBJECT, body.tenant, body.subject)
            letter = write_letter(body.public_key, {"label": label}, place=place)
            return ResolvedSubject(
                subject_ref=subject_ref,
                language=Language.ENGLISH,
                letter=letter,
                user_type=self.user_types.get(subject_ref),
                groups=() if self.says_attributes else None,
                mailbox=self.mailboxes.get(subject_ref, Mailbox.PERSONAL),
            )

        @app.post(RESOLVE_SUBJECTS.path, dependencies=[Depends(self._listed(RESOLVE_SUBJECTS))])
        async def resolve_many(body: ResolveSubjects) -> ResolvedSubjects:
            if self.policy_down:
                raise Problem(503, "unavailable", "Down")
            found = [self.subjects.get((body.tenant, name)) for name in body.subjects]
            return ResolvedSubjects(subject_refs=tuple(one[0] if one else None for one in found))

        return app

    def verification(self) -> FastAPI:
        app = FastAPI()
        answer_with_problems(app)

        @app.post(REVOKE.path, dependencies=[Depends(self._listed(REVOKE))])
        async def revoke(body: Revoke) -> Done:
            if self.verification_down:
                raise Problem(503, "unavailable", "Down")
            if self.held is not None:
                await self.held.wait()
            self.revoked.append(body)
            return Done(effective=True)

        @app.post(RECEIPT_KEYS.path, dependencies=[Depends(self._listed(RECEIPT_KEYS))])
        async def receipt_keys(_body: AskReceiptKeys) -> ReceiptKeys:
            if self.verification_down:
                raise Problem(503, "unavailable", "Down")
            self.keys_asked += 1
            named = {"kid": self.receipt_key.thumbprint(), "use": "sig", "alg": "Ed25519"}
            key = self.receipt_key.as_dict(private=False)
            return ReceiptKeys(keys=(json.dumps({**key, **named}),))

        return app

    def new_receipt_key(self) -> None:
        """Sign with another key from now on."""
        self.receipt_key = OKPKey.generate_key("Ed25519")

    def receipt(self, application_id: UUID, authenticator_id: UUID | str, **changed: object) -> str:
        """Sign a receipt as verification does when it has accepted a code just now."""
        issued = int(self.clock().timestamp())
        claims: dict[str, object] = {
            "iss": "watchword",
            "aud": str(application_id),
            "iat": issued,
            "exp": issued + 300,
            "jti": str(uuid4()),
            "remembered": False,
            "authenticator": str(authenticator_id),
        } | changed
        typ = "watchword-receipt+jwt"
        header = {"alg": "Ed25519", "kid": self.receipt_key.thumbprint(), "typ": typ}
        return jws.serialize_compact(
            header, json.dumps(claims).encode(), self.receipt_key, algorithms=["Ed25519"]
        )

    def revoked_ids(self) -> list[str]:
        return [str(one.authenticator_id) for body in self.revoked for one in body.authenticators]

    def _listed(self, route: InternalRoute) -> InternalCallers:
        taken: set[str] = set()

        async def take_once(token_id: str, _until: object) -> bool:
            fresh = token_id not in taken
            taken.add(token_id)
            return fresh

        return InternalCallers(
            identity_of(route.service.value),
            take_once=take_once,
            clock=self.clock,
            allowed=frozenset(route.callers),
        )
