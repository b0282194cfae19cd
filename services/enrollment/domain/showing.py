"""What is shown of an enrollment, once on each device that it goes on on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.vocabulary import Factor
from services.enrollment.domain.enrollment import Enrollment
from services.enrollment.domain.otpauth import KeyShown, key_shown
from services.enrollment.domain.passkey import Ceremony, creation_options
from services.enrollment.domain.phone import masked
from services.enrollment.domain.totp import Totp


@dataclass(frozen=True)
class CodesShown:
    """A set of recovery codes, to be written down or printed."""

    codes: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class NumberShown:
    """Where a code was sent, as far as it may be shown."""

    number: str


@dataclass(frozen=True)
class OptionsShown:
    """What a browser is to be asked for, as JSON."""

    options: Mapping[str, object] = field(repr=False)


Shown = KeyShown | CodesShown | NumberShown | OptionsShown | None
"""The other factors have nothing to show: the person has it already."""


def shown_of(enrollment: Enrollment, secret: bytes, *, issuer: str, label: str) -> Shown:
    """Return what to show; `issuer` and `label` name the entry in an app, or the passkey."""
    if enrollment.token_id is not None:
        # Its secret is inside the token, and nobody's to see.
        return None
    match enrollment.factor, enrollment.parameters:
        case Factor.TOTP, Totp() as parameters:
            return key_shown(secret, parameters, issuer=issuer, label=label)
        case Factor.RECOVERY_CODE, _:
            return CodesShown(tuple(json.loads(secret)))
        case ((Factor.SMS | Factor.VOICE), _):
            return NumberShown(masked(secret.decode()))
        case Factor.PASSKEY, _:
            ceremony = Ceremony.model_validate_json(secret)
            return OptionsShown(creation_options(ceremony, issuer=issuer, label=label))
        case _:
            return None
