"""What confirms an enrollment: codes, or what a browser says of the passkey that it made."""

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from services.enrollment.domain.proof import Answer, Response

# A body that is refused must not be quoted: it may hold a code.
_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
# What browsers say gets longer with time: what is not read here is no mistake of the caller's.
_OF_BROWSERS = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


def _whole(text: str) -> str:
    if len(text) % 4 == 1:
        raise ValueError("not base64url")
    return text


_FORM = StringConstraints(strict=True, pattern=r"^[A-Za-z0-9_-]+$")
_Base64Url = Annotated[str, _FORM, AfterValidator(_whole)]
# A credential id has 1023 bytes at most (WebAuthn Level 3 section 4).
_CredentialId = Annotated[_Base64Url, Field(max_length=1364)]
_Bytes = Annotated[_Base64Url, Field(max_length=32768)]
_Transport = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z-]{1,32}$")]
Code = Annotated[
    str,
    StringConstraints(
        strict=True,
        pattern=r"^([0-9]{6,10}|[0-9A-HJKMNP-TV-Z]{5}-[0-9A-HJKMNP-TV-Z]{5})$",
    ),
]


class ResponseBody(BaseModel):
    """What the authenticator made, in base64url."""

    model_config = _OF_BROWSERS
    client_data_json: Annotated[_Bytes, Field(alias="clientDataJSON")]
    attestation_object: Annotated[_Bytes, Field(alias="attestationObject")]
    transports: Annotated[tuple[_Transport, ...], Field(max_length=16)] = ()


class CredentialBody(BaseModel):
    """A browser's RegistrationResponseJSON (WebAuthn Level 3 section 5.1)."""

    model_config = _OF_BROWSERS
    id: _CredentialId
    raw_id: Annotated[_CredentialId, Field(alias="rawId")]
    type: Literal["public-key"]
    response: ResponseBody


class ConfirmationBody(BaseModel):
    """The proof: the code shown now, or the PIN again, or one of the codes; or the passkey.

    A token whose button was often pressed for nothing needs two codes in a row. `credential` is
    what `toJSON()` of the browser's credential gives.
    """

    model_config = _STRICT
    code: Code | None = Field(default=None, repr=False)
    next_code: Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{6,8}$")] | None = (
        Field(default=None, repr=False)
    )
    credential: CredentialBody | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        codes = (self.code is not None, self.next_code is not None)
        if codes not in ([(False, False)] if self.credential else [(True, False), (True, True)]):
            raise ValueError("either code, perhaps with next_code, or credential")
        return self

    @property
    def answer(self) -> Answer | Response:
        """Return what the person gave."""
        if self.credential is not None:
            return Response(self.credential.model_dump_json(by_alias=True))
        return Answer(self.code or "", self.next_code)
