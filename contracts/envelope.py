"""How a typed fact becomes a CloudEvent and back."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.topics import Topic
from contracts.vocabulary import Service
from libs.ids import new_id
from libs.messaging.cloud_event import CloudEvent, InvalidEvent

SCHEMA_ROOT = "https://watchword.invalid/schemas"

# A reader ignores attributes that a newer publisher added; taking one away needs a new version.
PUBLISHED = ConfigDict(frozen=True, extra="ignore")

Data = TypeVar("Data", bound=BaseModel)


@dataclass(frozen=True)
class EventType(Generic[Data]):
    """One kind of event: its name, version, publisher, topic and the model of its data."""

    name: str
    version: int
    publisher: Service
    topic: Topic
    data: type[Data]
    meaning: str

    @cached_property
    def dataschema(self) -> str:
        """Return the address of the JSON Schema of the data."""
        return f"{SCHEMA_ROOT}/{self.name}/{self.version}"

    @cached_property
    def source(self) -> str:
        """Return who publishes it, as an event says it."""
        return f"/watchword/{self.publisher}"


def person_key(tenant: UUID, subject_ref: UUID) -> str:
    """Return the record key that keeps one person's facts in order."""
    return f"{tenant}/{subject_ref}"


def application_key(tenant: UUID, application_id: UUID) -> str:
    """Return the record key of what concerns an application and no person."""
    return f"{tenant}/{application_id}"


def about_person(
    kind: EventType[Data],
    data: Data,
    *,
    tenant: UUID,
    subject_ref: UUID,
    now: datetime,
    traceparent: str | None = None,
) -> CloudEvent:
    """Build an event about one person; the outbox assigns its sequence."""
    return about_person_unchecked(
        kind,
        data.model_dump(mode="json"),
        tenant=tenant,
        subject_ref=subject_ref,
        now=now,
        traceparent=traceparent,
    )


def about_person_unchecked(
    kind: EventType[Data],
    data: dict[str, object],
    *,
    tenant: UUID,
    subject_ref: UUID,
    now: datetime,
    traceparent: str | None = None,
) -> CloudEvent:
    """Build an event whose data no model has checked: where it is written with every request.

    Its test has to compare it with what `about_person` makes of the model.
    """
    subject = str(subject_ref)
    key = f"{tenant}/{subject}"
    return _event(
        kind, data, tenant=tenant, key=key, subject=subject, now=now, traceparent=traceparent
    )


def about_application(
    kind: EventType[Data], data: Data, *, tenant: UUID, application_id: UUID, now: datetime
) -> CloudEvent:
    """Build an event about an application or, with the tenant's own id, about a tenant."""
    key = application_key(tenant, application_id)
    content = data.model_dump(mode="json")
    return _event(kind, content, tenant=tenant, key=key, subject=None, now=now)


def data_of(kind: EventType[Data], event: CloudEvent) -> Data:
    """Read the data of an event against its contract.

    Raises InvalidEvent where the type, the version or the data is not what `kind` says.
    """
    if event.type != kind.name or event.dataschema != kind.dataschema:
        raise InvalidEvent(f"not version {kind.version} of {kind.name}")
    try:
        return kind.data.model_validate(event.data)
    except ValidationError as error:
        places = sorted({str(part["loc"]) for part in error.errors(include_input=False)})
        raise InvalidEvent(f"data of {kind.name} is wrong at {', '.join(places)}") from None


def subject_ref_of(event: CloudEvent) -> UUID:
    """Return whom the event is about; raises InvalidEvent where it names nobody."""
    try:
        return UUID(event.subject or "")
    except ValueError:
        raise InvalidEvent("the event names no subject_ref") from None


def _event(
    kind: EventType[Data],
    data: dict[str, object],
    *,
    tenant: UUID,
    key: str,
    subject: str | None,
    now: datetime,
    traceparent: str | None = None,
) -> CloudEvent:
    return CloudEvent(
        id=new_id(),
        source=kind.source,
        type=kind.name,
        time=now,
        tenant=tenant,
        key=key,
        sequence=0,
        subject=subject,
        traceparent=traceparent,
        dataschema=kind.dataschema,
        data=data,
    )
