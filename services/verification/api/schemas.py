"""Request and response bodies."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
)

from contracts.decisions import Reason
from contracts.rules import PassedOver
from contracts.subjects import SubjectName
from contracts.vocabulary import DecisionKind, Factor
from services.verification.domain.coarse import place_of

# A body that is refused must not be quoted: it may hold a code.
_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

# Six to ten ASCII digits, how many exactly is the authenticator's to say; or a recovery code.
Code = Annotated[
    str,
    StringConstraints(
        strict=True, pattern=r"^(?:[0-9]{6,10}|[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5})$"
    ),
]
NextCode = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{6,8}$")]


# Chosen by the application for one login, so that a receipt cannot be used in another.
Nonce = Annotated[str, StringConstraints(strict=True, pattern=r"^[!-~]{8,128}$")]


class DecisionRequest(BaseModel):
    """Who wants to log in; the application is known by its key."""

    model_config = _STRICT
    subject: SubjectName
    device: Annotated[str, StringConstraints(strict=True, max_length=512)] | None = Field(
        default=None,
        description="The token that the device keeps. One that is unknown, expired or malformed"
        " is as good as none; one that was spent before drops the device.",
    )
    explain: StrictBool = Field(
        default=False,
        description="Say why the rules before the one that decides do not, and whether that one is"
        " in doubt. That tells what somebody is, so it takes the scope `verify:reasons` or the"
        " right `read`.",
    )


class UnlockRequest(BaseModel):
    """Whom to unlock."""

    model_config = _STRICT
    subject: SubjectName


class SkipRequest(BaseModel):
    """Who puts enrolling off."""

    model_config = _STRICT
    subject: SubjectName


class SkipAnswer(BaseModel):
    """It was put off; so often it may be again."""

    skips_left: int


class DeviceKept(BaseModel):
    """What the device is to keep instead of what it kept before; the token is good once."""

    id: UUID
    token: str
    expires: datetime


class RulePassedOver(BaseModel):
    """A rule that comes before the one that decides, and why it does not."""

    rule: str
    because: PassedOver


class RulesApplied(BaseModel):
    """The tenant's rules as they were applied; `digest` is that of this version, for ever."""

    version: int
    digest: str
    decided_by: str | None = Field(
        description="The rule that decided; without one the application's own policy did."
    )
    passed_over: list[RulePassedOver] | None = None
    in_doubt: PassedOver | None = Field(
        default=None,
        description="Why the rule that decided may not be about this person at all: nobody knows"
        " yet what they are (`unknown_person`), or what the rule asks (`unknown_criterion`).",
    )


class DecisionAnswer(BaseModel):
    """What to do now; `factors` can be used for a challenge, or may be enrolled."""

    decision: DecisionKind
    reason: Reason
    factors: list[Factor]
    policy_version: int
    skips_left: int | None = Field(
        default=None,
        description="For `enroll`: how often the person may still put it off (`POST /v1/skips`);"
        " with 0 they must enroll now.",
    )
    rules: RulesApplied | None = None
    remembered: bool = Field(
        description="Let in by a remembered device: one factor only, in NIST's terms AAL1."
    )
    device: DeviceKept | None = None


def _is_address(text: str) -> str:
    try:
        place_of(text)
    except ValueError:
        raise ValueError("not an IPv4 or IPv6 address") from None
    return text


Source = Annotated[str, StringConstraints(strict=True, max_length=45), AfterValidator(_is_address)]


class OwnLimit(BaseModel):
    """So many wrong codes in so many seconds."""

    model_config = _STRICT
    name: Annotated[str, StringConstraints(strict=True, pattern=r"^[!-~]{1,64}$")]
    guesses: Annotated[StrictInt, Field(ge=1, le=1_000_000)]
    seconds: Annotated[StrictInt, Field(ge=1, le=86_400)]


class ReceiptRequest(BaseModel):
    """Asks for a signed receipt that says this nonce."""

    model_config = _STRICT
    nonce: Nonce


class DeviceRequest(BaseModel):
    """Says whether the person wants this device to be remembered."""

    model_config = _STRICT
    remember: StrictBool


class VerifyRequest(BaseModel):
    """A code, as the person typed it; `authenticator` narrows it to one of several."""

    model_config = _STRICT
    subject: SubjectName
    code: Code = Field(
        description="As it was typed: the digits of a one-time password or a PIN, or a recovery"
        " code in its one form, upper case with the hyphen.",
        examples=["492039", "7HJ2K-9QXW4"],
    )
    authenticator: UUID | None = None
    source: Source | None = Field(
        None,
        description="The address of the person's device, IPv4 or IPv6. Wrong codes are limited for"
        " each source over all people (of IPv6 for each /64); it is kept as a digest only.",
        examples=["203.0.113.7"],
    )
    limits: Annotated[list[OwnLimit], Field(max_length=4)] = Field(
        default=[],
        description="Limits of the application's own, each under a name that it chooses, such as"
        " a form or a session: no code is looked at once one of them is used up.",
    )
    next_code: NextCode | None = Field(
        None,
        description="The code that the same HOTP token shows after `code`. With both of them its"
        " counter is found further ahead (100 codes instead of 10); nothing else is compared.",
    )
    receipt: ReceiptRequest | None = None
    device: DeviceRequest | None = None


class VerifyAnswer(BaseModel):
    """The code was right, and is now spent; `receipt` and `device` come where asked for."""

    outcome: Literal["accepted"]
    authenticator: UUID
    factor: Factor
    acr: str
    amr: list[str]
    event_id: UUID
    verified_at: datetime
    receipt: str | None = Field(
        default=None,
        description="A JSON Web Signature, good for 5 minutes; keys: `/v1/receipts/keys`.",
    )
    device: DeviceKept | None = None


class DeviceSearch(BaseModel):
    """Whose devices; in the body, because addresses of requests are logged."""

    model_config = _STRICT
    subject: SubjectName


class DeviceShown(BaseModel):
    """A device by which an application knows somebody."""

    id: UUID
    application: UUID
    remembered_at: datetime
    last_used: datetime
    expires: datetime


class DeviceList(BaseModel):
    """All of them, the oldest first."""

    devices: list[DeviceShown]


class ReceiptKey(BaseModel):
    """A public key (RFC 7517)."""

    kty: str
    crv: str
    x: str
    kid: str
    use: str
    alg: str


class ReceiptKeySet(BaseModel):
    """All keys by which receipts may be signed now or soon, or that have signed lately."""

    keys: list[ReceiptKey]
