"""Passkeys: what a browser is asked to make, and whether it made it (WebAuthn Level 3)."""

from collections.abc import Mapping
from uuid import UUID

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pydantic import BaseModel, ConfigDict, Field
from webauthn import generate_registration_options, verify_registration_response
from webauthn.helpers import (
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    options_to_json_dict,
    parse_cbor,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    RegistrationCredential,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

CHALLENGE_LENGTH = 32
# Section 15.1; the enrollment lives longer than one look at the browser's window.
_TIMEOUT = 300_000
# Section 4, credential id.
_LONGEST_ID = 1023
# NIST SP 800-57 part 1: 112 bits.
_SHORTEST_RSA = 2048
_ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
# What broken input makes the library raise.
_BROKEN = (
    WebAuthnException,
    UnsupportedAlgorithm,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
_SEALED = ConfigDict(frozen=True, ser_json_bytes="base64", val_json_bytes="base64")


class Known(BaseModel):
    """A passkey that the person has here already, so that its holder makes no second one."""

    model_config = _SEALED
    credential_id: bytes = Field(repr=False)
    transports: tuple[str, ...]


class Ceremony(BaseModel):
    """One making of a passkey: for whom, where, and by which challenge."""

    model_config = _SEALED
    rp_id: str
    origins: tuple[str, ...]
    user_id: bytes = Field(repr=False)
    challenge: bytes = Field(repr=False)
    known: tuple[Known, ...] = Field(default=(), repr=False)


class Passkey(BaseModel):
    """What is kept of a passkey (section 4, credential record)."""

    model_config = _SEALED
    rp_id: str
    credential_id: bytes = Field(repr=False)
    public_key: bytes = Field(repr=False)
    sign_count: int
    aaguid: UUID
    transports: tuple[str, ...]
    user_verified: bool
    backup_eligible: bool
    backed_up: bool


def creation_options(ceremony: Ceremony, *, issuer: str, label: str) -> Mapping[str, object]:
    """Return the options in the form of `PublicKeyCredential.parseCreationOptionsFromJSON`."""
    options = generate_registration_options(
        rp_id=ceremony.rp_id,
        rp_name=issuer,
        user_id=ceremony.user_id,
        user_name=label,
        challenge=ceremony.challenge,
        timeout=_TIMEOUT,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            # Beside a password, having it would do (NIST SP 800-63B-4 section 3.1.6). But whoever
            # took an unlocked phone has it as well, the strength of the first step is not ours to
            # know, and nothing turns a passkey that knows no verification into one of two factors
            # (section 3.1.7) later on.
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[_descriptor(one) for one in ceremony.known],
        supported_pub_key_algs=_ALGORITHMS,
    )
    return options_to_json_dict(options)


def registered(ceremony: Ceremony, response: str) -> Passkey | None:
    """Return the passkey that a browser's response (JSON) shows, or None (section 7.1)."""
    try:
        parsed = parse_registration_credential_json(response)
        if not _is_expected(parsed):
            return None
        made = verify_registration_response(
            credential=parsed,
            expected_challenge=ceremony.challenge,
            expected_rp_id=ceremony.rp_id,
            expected_origin=list(ceremony.origins),
            require_user_verification=True,
            supported_pub_key_algs=_ALGORITHMS,
        )
        if len(made.credential_id) > _LONGEST_ID or not _is_key(made.credential_public_key):
            return None
    except _BROKEN:
        return None
    return Passkey(
        rp_id=ceremony.rp_id,
        credential_id=made.credential_id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        aaguid=UUID(made.aaguid),
        transports=tuple(one.value for one in parsed.response.transports or ()),
        user_verified=made.user_verified,
        backup_eligible=made.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        backed_up=made.credential_backed_up,
    )


def _is_expected(parsed: RegistrationCredential) -> bool:
    """Tell whether a response comes from a page of its own, with at most a self attestation.

    No other attestation was asked for, so no certificate of a stranger is ever read. The library
    would take a number for so many bytes.
    """
    if parse_client_data_json(parsed.response.client_data_json).cross_origin:
        return False
    attestation = parse_cbor(parsed.response.attestation_object)
    statement = attestation["attStmt"]
    return (
        isinstance(attestation["authData"], bytes)
        and isinstance(statement, dict)
        and attestation["fmt"] in ("none", "packed")
        and "x5c" not in statement
    )


def _is_key(public_key: bytes) -> bool:
    """Tell whether a key is one of its algorithm; without attestation nothing was signed by it."""
    decoded = decode_credential_public_key(public_key)
    key = decoded_public_key_to_cryptography(decoded)
    match decoded.alg:
        case COSEAlgorithmIdentifier.ECDSA_SHA_256:
            return isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
        case COSEAlgorithmIdentifier.EDDSA:
            return isinstance(key, Ed25519PublicKey)
        case _:
            return isinstance(key, RSAPublicKey) and key.key_size >= _SHORTEST_RSA


def _descriptor(known: Known) -> PublicKeyCredentialDescriptor:
    transports = [AuthenticatorTransport(one) for one in known.transports]
    return PublicKeyCredentialDescriptor(id=known.credential_id, transports=transports or None)
