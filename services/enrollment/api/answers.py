"""Domain values as response bodies."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, assert_never

import segno
from fastapi import Response

from services.enrollment.api.schemas import (
    AuthenticatorShown,
    CodeSent,
    ConfirmationAnswer,
    EnrollmentShown,
    EnrollmentStarted,
    HandoverShown,
)
from services.enrollment.domain.authenticator import Status as Standing
from services.enrollment.domain.enrollment import Enrollment, Status, status_at
from services.enrollment.domain.otpauth import KeyShown
from services.enrollment.domain.parameters import columns_of
from services.enrollment.domain.showing import CodesShown, NumberShown, OptionsShown, Shown
from services.enrollment.use_cases.authenticators import Named
from services.enrollment.use_cases.confirm import Confirmed
from services.enrollment.use_cases.enroll import Started
from services.enrollment.use_cases.handovers import HandedOut
from services.enrollment.use_cases.sent_codes import Sent

_REPLACED: Mapping[Standing | None, Literal["effective", "pending"] | None] = {
    None: None,
    Standing.REMOVED: "effective",
    Standing.REMOVING: "pending",
}
# Pixels a module, and the quiet zone that ISO/IEC 18004 asks for, in modules.
_SCALE = 6
_BORDER = 4


def never_stored(response: Response) -> None:
    """Keep secrets and names out of every cache; a dependency of all public routes."""
    response.headers["Cache-Control"] = "no-store"


def enrollment_started(started: Started) -> EnrollmentStarted:
    about = started.enrollment
    columns = columns_of(about.parameters)
    return EnrollmentStarted(
        enrollment_id=about.enrollment_id,
        factor=about.factor,
        expires_at=about.expires,
        algorithm=columns.algorithm,
        digits=columns.digits,
        period=columns.period,
        next_code_after=started.next_code_after,
        shared_mailbox=started.shared_mailbox or None,
        **_shown(started.shown),
    )


def _shown(shown: Shown) -> Mapping[str, Any]:
    match shown:
        case KeyShown(uri, key):
            code = segno.make_qr(uri)
            return {
                "otpauth_uri": uri,
                "key": key,
                "qr_png": code.png_data_uri(scale=_SCALE, border=_BORDER),
                # A light ground of its own: scanners do not find a code on a dark page.
                "qr_svg": code.svg_inline(scale=_SCALE, border=_BORDER, light="#fff"),
            }
        case CodesShown(codes):
            return {"codes": codes}
        case NumberShown(number):
            return {"sent_to": number}
        case OptionsShown(options):
            return {"public_key": options}
        case None:
            return {}
        case _:
            assert_never(shown)


def code_sent(sent: Sent) -> CodeSent:
    return CodeSent(expires_at=sent.expires, next_code_after=sent.next_after)


def handover_shown(out: HandedOut) -> HandoverShown:
    return HandoverShown(link_token=out.token, code=out.code, expires_at=out.expires)


def enrollment_shown(about: Enrollment, now: datetime) -> EnrollmentShown:
    status = status_at(about, now)
    became = about.authenticator_id if status is Status.CONFIRMED else None
    return EnrollmentShown(
        enrollment_id=about.enrollment_id,
        factor=about.factor,
        status=status,
        tries_left=about.tries_left,
        expires_at=about.expires,
        authenticator_id=became,
    )


def confirmation_answer(confirmed: Confirmed) -> ConfirmationAnswer:
    return ConfirmationAnswer(
        authenticator_id=confirmed.enrollment.authenticator_id,
        factor=confirmed.enrollment.factor,
        recovery_ticket=confirmed.ticket,
        confirmed_at=confirmed.at,
        presence=confirmed.presence,
        second_method_advised=confirmed.second_method_advised,
        replaced=_REPLACED[confirmed.replaced],
    )


def authenticator_shown(named: Named) -> AuthenticatorShown:
    about = named.authenticator
    return AuthenticatorShown(
        authenticator_id=about.authenticator_id,
        factor=about.factor,
        name=named.name,
        status=about.status,
        enrolled_at=about.enrolled_at,
    )
