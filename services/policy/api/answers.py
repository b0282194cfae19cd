"""Domain values as response bodies."""

from uuid import UUID

from fastapi import Response

from contracts.passkeys import PasskeyParty
from contracts.vocabulary import Factor, Scope
from services.policy.api.schemas import (
    ApplicationCreated,
    ApplicationShown,
    KeyIssued,
    KeyShown,
    PasskeysShown,
    PolicyShown,
    SubjectShown,
)
from services.policy.domain.application import Application, Key
from services.policy.domain.policy import Policy
from services.policy.domain.subject import Subject
from services.policy.use_cases.applications import NewApplication
from services.policy.use_cases.keys import IssuedKey

NEVER_STORED = {"Cache-Control": "no-store"}


def never_stored(response: Response) -> None:
    """Keep keys and names out of every cache; a dependency of all public routes."""
    response.headers.update(NEVER_STORED)


def policy_shown(policy: Policy) -> PolicyShown:
    return PolicyShown(
        application_id=policy.application_id,
        version=policy.version,
        requirement=policy.terms.requirement,
        factors=[factor for factor in Factor if factor in policy.terms.factors],
    )


def application_shown(application: Application, policy: Policy) -> ApplicationShown:
    return ApplicationShown(
        application_id=application.application_id,
        name=application.name,
        created=application.created,
        keys=[_key_shown(key) for key in application.keys],
        policy=policy_shown(policy),
        passkeys=_passkeys_shown(application.passkeys),
    )


def application_created(made: NewApplication) -> ApplicationCreated:
    about = made.application.application_id
    return ApplicationCreated(
        **key_issued(made.issued, about).model_dump(),
        name=made.application.name,
        policy=policy_shown(made.policy),
    )


def key_issued(issued: IssuedKey, application_id: UUID) -> KeyIssued:
    return KeyIssued(
        application_id=application_id,
        key_id=issued.key.key_id,
        key=issued.secret.text,
        scopes=_in_order(issued.key.scopes),
        mode=issued.key.mode,
        role=issued.key.role,
        holder=issued.key.holder,
    )


def subject_shown(subject: Subject) -> SubjectShown:
    personal, attributes = subject.personal, subject.attributes
    return SubjectShown(
        subject_ref=subject.subject_ref,
        subject=personal.subject,
        email=personal.email,
        label=personal.label,
        user_type=attributes.user_type,
        groups=list(attributes.groups),
        language=attributes.language,
        version=subject.version,
        created=subject.created,
    )


def _passkeys_shown(party: PasskeyParty | None) -> PasskeysShown | None:
    if party is None:
        return None
    return PasskeysShown(rp_id=party.rp_id, origins=list(party.origins))


def _key_shown(key: Key) -> KeyShown:
    return KeyShown(
        key_id=key.key_id,
        scopes=_in_order(key.scopes),
        mode=key.mode,
        revoked=key.revoked,
        role=key.role,
        holder=key.holder,
    )


def _in_order(scopes: frozenset[Scope]) -> list[Scope]:
    return [scope for scope in Scope if scope in scopes]
