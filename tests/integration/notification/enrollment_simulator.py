"""Enrollment, as notification sees it: it hands codes over."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from fastapi import FastAPI

from contracts.internal import (
    ACKNOWLEDGE_CODE,
    CLAIM_CODE,
    AcknowledgeCode,
    ClaimCode,
    ClaimedCode,
    Done,
    letter_place,
)
from libs.sealing.letter import write_letter
from libs.web.problems import Problem, answer_with_problems


@dataclass
class EnrollmentSimulator:
    """What enrollment would answer."""

    codes: dict[UUID, Mapping[str, object]] = field(default_factory=dict)
    acknowledged: list[AcknowledgeCode] = field(default_factory=list)
    status: int = 200

    def app(self) -> FastAPI:
        """Return enrollment as an app."""
        app = FastAPI()
        answer_with_problems(app)

        @app.post(CLAIM_CODE.path)
        async def claim(body: ClaimCode) -> ClaimedCode:
            if self.status != 200:
                raise Problem(self.status, "refused", "Refused")
            place = letter_place(CLAIM_CODE, body.tenant, body.code_id, body.attempt_id)
            content = dict(self.codes[body.code_id])
            return ClaimedCode(letter=write_letter(body.public_key, content, place=place))

        @app.post(ACKNOWLEDGE_CODE.path)
        async def acknowledge(body: AcknowledgeCode) -> Done:
            self.acknowledged.append(body)
            return Done(effective=True)

        return app
