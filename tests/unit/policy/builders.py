"""Small values with defaults."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

from contracts.roles import SCOPES, Role
from contracts.vocabulary import KeyMode, Language, Scope
from services.policy.domain.application import Application, Key, new_application
from services.policy.domain.subject import Attributes, Personal, Subject

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def a_key(
    *, scopes: frozenset[Scope] = frozenset({Scope.VERIFY}), mode: KeyMode = KeyMode.TEST
) -> Key:
    return Key(uuid4(), digest=uuid4().hex * 2, scopes=scopes, mode=mode, revoked=False)


def a_persons_key(role: Role, holder: UUID | None) -> Key:
    return replace(a_key(scopes=SCOPES[role]), role=role, holder=holder)


def an_application(first_key: Key | None = None) -> Application:
    return new_application(uuid4(), name="Mail", first_key=first_key or a_key(), now=NOW)


def a_subject(subject_ref: UUID | None = None) -> Subject:
    return Subject(
        subject_ref or uuid4(),
        version=1,
        created=NOW,
        personal=Personal("anna", email="anna@example.org", label="Anna at work"),
        attributes=Attributes("staff", groups=("a", "b"), language=Language.DUTCH),
    )
