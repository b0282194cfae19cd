"""Sample events, made as services make them and the same each time."""

import types
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Union, get_args, get_origin
from uuid import UUID, uuid5

from msgspec.structs import replace
from pydantic import BaseModel

from contracts.approvals import APPROVAL_GIVEN, APPROVAL_REFUSED, APPROVAL_REQUESTED
from contracts.envelope import EventType, about_application, about_person
from contracts.policy import (
    APPLICATION_CHANGED,
    ENFORCEMENT_DUE,
    POLICY_CHANGED,
    RULES_PUBLISHED,
    RULES_WRITTEN,
    SUBJECTS_IMPORTED,
    TENANT_CHANGED,
)
from contracts.topics import APPLICATIONS, POLICIES
from libs.messaging.cloud_event import CloudEvent, body_without_sequence

# Enough for each value of the longest enumeration to occur.
HOW_MANY = 9
_NAMESPACE = UUID("019a2b3c-0000-7000-8000-000000000000")
_BEGIN = datetime(2026, 11, 23, 8, 30, 12, 345678, tzinfo=UTC)
_ABOUT_NO_PERSON = tuple(
    kind.name
    for kind in (
        *(TENANT_CHANGED, APPLICATION_CHANGED, POLICY_CHANGED),
        *(RULES_PUBLISHED, RULES_WRITTEN, ENFORCEMENT_DUE, SUBJECTS_IMPORTED),
        *(APPROVAL_REQUESTED, APPROVAL_GIVEN, APPROVAL_REFUSED),
    )
)
_BY_FIELD: Mapping[str, tuple[object, ...]] = {
    "act": ("publish_rules", "end_four_eyes"),
    "acr": ("urn:watchword:acr:second-factor",),
    "amr": (("otp",), ("otp", "mfa"), ()),
    "digest": ("3f" * 32, "a0" * 32),
    "groups": ((), ("staff",), ("staff", "Zürich"), ("students", "2026", "日本")),
    "name": ("Payroll", "Zeiterfassung für alle", "給与", "x" * 200),
    "origins": (("https://payroll.example.org",), ("https://a.example:8443", "https://b.example")),
    "rp_id": ("example.org", "localhost"),
    "rules_digest": ("3f" * 32, None),
    "remember_days": (None, 7, 0),
    "skips": (0, 3),
    "user_types": ((), ("employee", "étudiante")),
    "rule": ("students", "staff-abroad"),
    "user_type": ("employee", None, "étudiante"),
}
_NUMBERS = (1, 2, 0, 41, 2**31)


def sample_events(kind: EventType[Any]) -> Iterator[CloudEvent]:
    """Return events of one kind that differ in what they hold and leave out."""
    for number in range(HOW_MANY):
        salt = f"{kind.name}/{number}"
        tenant, about = _id(f"{salt}/tenant"), _id(f"{salt}/about")
        by_application = kind.topic in (APPLICATIONS, POLICIES) or kind.name in _ABOUT_NO_PERSON
        data = _about(_model(kind.data, number, salt), about, by_application=by_application)
        now = _BEGIN + timedelta(hours=number, microseconds=-345678 * (number % 2))
        if by_application:
            event = about_application(kind, data, tenant=tenant, application_id=about, now=now)
        else:
            event = about_person(kind, data, tenant=tenant, subject_ref=about, now=now)
        trace = f"00-{_id(f'{salt}/trace').hex}-{number + 1:016x}-01"
        yield replace(event, id=_id(salt), traceparent=trace if number % 3 == 1 else None)


def record_value(event: CloudEvent, *, sequence: int) -> bytes:
    """Return the bytes of the record, as the outbox puts them together."""
    return f'{{"sequence":"{sequence}",{body_without_sequence(event)[1:]}'.encode()


def _model(model: type[BaseModel], number: int, salt: str) -> BaseModel:
    values = {
        name: _field(name, field.annotation, number, f"{salt}/{name}")
        for name, field in model.model_fields.items()
    }
    return model.model_validate(values)


def _about(data: BaseModel, about: UUID, *, by_application: bool) -> BaseModel:
    """Let the data name whom or what the key names."""
    name = "application_id" if by_application else "subject_ref"
    return data.model_copy(update={name: about}) if name in type(data).model_fields else data


def _field(name: str, annotation: Any, number: int, salt: str) -> object:
    if name in _BY_FIELD:
        return _BY_FIELD[name][number % len(_BY_FIELD[name])]
    return _value(annotation, number, salt)


def _value(annotation: Any, number: int, salt: str) -> object:
    kind, arguments = get_origin(annotation), get_args(annotation)
    if kind in (Union, types.UnionType):
        return None if number % 2 else _value(arguments[0], number // 2, salt)
    if kind is tuple:
        return tuple(_value(arguments[0], number + i, f"{salt}/{i}") for i in range(number % 4))
    if issubclass(annotation, BaseModel):
        return _model(annotation, number, salt)
    if issubclass(annotation, StrEnum):
        return list(annotation)[number % len(annotation)]
    return _plain(annotation, number, salt)


def _plain(annotation: type[object], number: int, salt: str) -> object:
    match annotation.__name__:
        case "UUID":
            return _id(salt)
        case "datetime":
            return _BEGIN + timedelta(minutes=number)
        case "bool":
            return number % 2 == 1
        case "int":
            return _NUMBERS[number % len(_NUMBERS)]
        case other:
            raise NotImplementedError(f"no samples of {other} yet ({salt})")


def _id(name: str) -> UUID:
    # As ids of ours look: version 7 (RFC 9562), here with a time that means nothing.
    return UUID(int=uuid5(_NAMESPACE, name).int & ~(0xF << 76) | 0x7 << 76)
