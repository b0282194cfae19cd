"""Policy and verification, as enrollment sees them; both check who calls."""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from fastapi import Depends, FastAPI

from contracts.internal import (
    RESOLVE_SUBJECT,
    RESOLVE_SUBJECTS,
    REVOKE,
    Done,
    InternalRoute,
    ResolvedSubject,
    ResolvedSubjects,
    ResolveSubject,
    ResolveSubjects,
    Revoke,
    letter_place,
)
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
    policy_down: bool = False
    # One of an earlier release says none.
    says_attributes: bool = True
    verification_down: bool = False
    revoked: list[Revoke] = field(default_factory=list)
    held: asyncio.Event | None = None

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

        return app

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
