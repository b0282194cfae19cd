"""The gate itself: each change that breaks a reader is seen, and a harmless one is not."""

from enum import StrEnum
from uuid import UUID

import pytest
from pydantic import BaseModel

from contracts.envelope import PUBLISHED, EventType
from contracts.topics import EVENTS
from contracts.vocabulary import Service
from tools.compatibility import Schema, differences
from tools.schemas import record_schema


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    model_config = PUBLISHED
    size: int


class Released(BaseModel):
    """A thing was painted."""

    model_config = PUBLISHED
    thing_id: UUID
    colour: Colour
    note: str | None
    coats: int
    inner: tuple[Inner, ...]
    label: str = ""


class WithOptional(Released):
    """Said in other words."""

    shade: str | None = None


class OnlyRed(StrEnum):
    RED = "red"


class MoreColours(StrEnum):
    RED = "red"
    BLUE = "blue"
    GREEN = "green"


class Removed(BaseModel):
    model_config = PUBLISHED
    colour: Colour
    note: str | None
    coats: int
    inner: tuple[Inner, ...]
    label: str = ""


class OptionalRemoved(BaseModel):
    model_config = PUBLISHED
    thing_id: UUID
    colour: Colour
    note: str | None
    coats: int
    inner: tuple[Inner, ...]


class Renamed(Removed):
    identity: UUID


class NewRequired(Released):
    shade: str | None


class Narrowed(Released):
    colour: OnlyRed  # type: ignore[assignment]


class Widened(Released):
    colour: MoreColours  # type: ignore[assignment]


class NoNull(Released):
    note: str


class NowNull(Released):
    coats: int | None  # type: ignore[assignment]


class OtherType(Released):
    coats: str  # type: ignore[assignment]


class OtherFormat(Released):
    thing_id: str  # type: ignore[assignment]


class NowRequired(Released):
    label: str


class NowOptional(Released):
    coats: int = 1


class InnerRenamed(BaseModel):
    model_config = PUBLISHED
    width: int


class OtherInner(Released):
    inner: tuple[InnerRenamed, ...]  # type: ignore[assignment]


class Closed(Released):
    model_config = {"extra": "forbid"}


def _schema(data: type[BaseModel]) -> Schema:
    kind = EventType("mfa.painted", 1, Service.POLICY, EVENTS, data, data.__name__)
    return record_schema(kind)


def test_the_same_schema_is_compatible() -> None:
    assert differences(_schema(Released), _schema(Released)) == []


def test_an_added_optional_attribute_is_compatible() -> None:
    assert differences(_schema(Released), _schema(WithOptional)) == []


def test_another_order_is_compatible() -> None:
    altered = _schema(Released)
    altered["required"].reverse()
    altered["properties"]["data"]["properties"]["colour"]["enum"].reverse()

    assert differences(_schema(Released), altered) == []


@pytest.mark.parametrize(
    ("altered", "place"),
    [
        (Removed, "record.data.thing_id is gone"),
        (OptionalRemoved, "record.data.label is gone"),
        (Renamed, "record.data.thing_id is gone"),
        (NewRequired, "record.data: required"),
        (Narrowed, "record.data.colour"),
        (Widened, "record.data.colour"),
        (NoNull, "record.data.note"),
        (NowNull, "record.data.coats"),
        (OtherType, "record.data.coats"),
        (OtherFormat, "record.data.thing_id"),
        (NowRequired, "record.data: required"),
        (NowOptional, "record.data: required"),
        (OtherInner, "record.data.inner"),
        (Closed, "record.data: additionalProperties is new"),
    ],
)
def test_what_breaks_a_reader_is_seen_and_named(altered: type[BaseModel], place: str) -> None:
    found = differences(_schema(Released), _schema(altered))

    assert any(difference.startswith(place) for difference in found), found


@pytest.mark.parametrize("altered", [Removed, Renamed, NewRequired, Narrowed, Widened, OtherType])
def test_jsoncompat_alone_sees_the_coarse_ones(altered: type[BaseModel]) -> None:
    found = differences(_schema(Released), _schema(altered))

    assert any(difference.startswith("jsoncompat") for difference in found)


@pytest.mark.parametrize("name", ["type", "dataschema", "source", "specversion"])
def test_the_envelope_is_protected_too(name: str) -> None:
    altered = _schema(Released)
    altered["properties"][name] = {"const": "another"}

    assert differences(_schema(Released), altered)


def test_a_new_pattern_is_seen() -> None:
    altered = _schema(Released)
    altered["properties"]["data"]["properties"]["label"]["pattern"] = "^x$"

    assert differences(_schema(Released), altered) == ["record.data.label: pattern is new"]
