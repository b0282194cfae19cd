"""What confirms an enrollment: proof that the person has what is to be enrolled."""

import json
from dataclasses import dataclass, field
from datetime import datetime

from contracts.vocabulary import Factor
from services.enrollment.domain import hotp, pin, recovery_codes, totp
from services.enrollment.domain.authenticator import BY_PHONE
from services.enrollment.domain.enrollment import Enrollment
from services.enrollment.domain.hotp import Hotp
from services.enrollment.domain.otp import is_code
from services.enrollment.domain.parameters import Pin
from services.enrollment.domain.passkey import Ceremony, registered
from services.enrollment.domain.sent_codes import DIGITS
from services.enrollment.domain.totp import Totp


@dataclass(frozen=True)
class Answer:
    """What the person gave; a token that is far ahead gives two codes in a row."""

    code: str = field(repr=False)
    next_code: str | None = field(default=None, repr=False)

    @property
    def content(self) -> bytes:
        """Return all of it, as one, for telling a repeat from something else."""
        return json.dumps((self.code, self.next_code)).encode()


@dataclass(frozen=True)
class Response:
    """What the person's browser made of the options, as JSON."""

    text: str = field(repr=False)

    @property
    def content(self) -> bytes:
        """Return it for telling a repeat from something else."""
        return self.text.encode()


@dataclass(frozen=True)
class Proved:
    """The person has it. `secret` is what is kept, `last_step` what was spent by proving it.

    `mark`: by which the same thing is known again, where nothing may be enrolled twice.
    """

    secret: bytes = field(repr=False)
    last_step: int = -1
    mark: bytes | None = field(default=None, repr=False)


def is_answer(enrollment: Enrollment, answer: Answer | Response) -> bool:
    """Tell whether an answer has the form of this factor; one that has not costs no try."""
    if isinstance(answer, Response):
        return enrollment.factor is Factor.PASSKEY
    match enrollment.parameters:
        case Totp(digits=digits) | Pin(digits=digits) if answer.next_code is None:
            return is_code(answer.code, digits=digits)
        case Hotp(digits=digits):
            second = answer.next_code
            return is_code(answer.code, digits=digits) and (
                second is None or is_code(second, digits=digits)
            )
        case None if answer.next_code is None:
            if enrollment.factor in BY_PHONE:
                return is_code(answer.code, digits=DIGITS)
            return enrollment.factor is Factor.RECOVERY_CODE and recovery_codes.is_code(answer.code)
        case _:
            return False


def proved_passkey(secret: bytes, response: Response) -> Proved | None:
    """Return what a browser's response proves, or None."""
    made = registered(Ceremony.model_validate_json(secret), response.text)
    if made is None:
        return None
    return Proved(made.model_dump_json().encode(), mark=made.credential_id)


def proved(enrollment: Enrollment, secret: bytes, answer: Answer, *, at: datetime) -> Proved | None:
    """Return what an answer proves, or None; for a PIN this takes some 40 ms of a core.

    A code that was sent is no part of the secret, and judged elsewhere (domain/sent_codes.py).
    """
    code = answer.code
    match enrollment.parameters:
        case Totp() as parameters:
            step = totp.matching_step(secret, code, parameters=parameters, at=at)
            return Proved(secret, step) if step is not None else None
        case Hotp() as parameters:
            counter = hotp.matching_counter(secret, code, answer.next_code, parameters=parameters)
            return Proved(secret, counter) if counter is not None else None
        case Pin():
            return Proved(secret) if pin.pin_holds(secret, code) else None
        case None if enrollment.factor is not Factor.RECOVERY_CODE:
            return None
        case None:
            left = recovery_codes.without(json.loads(secret), code)
            return Proved(json.dumps(left).encode()) if left is not None else None
