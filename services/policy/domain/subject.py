"""A subject: who it is to the application, which stays here, and its attributes, which do not."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import TypeVar
from uuid import UUID

from contracts.vocabulary import Language

Value = TypeVar("Value")


@dataclass(frozen=True)
class Personal:
    """What names a person: never published and never shown in a log."""

    subject: str = field(repr=False)
    email: str | None = field(repr=False)
    label: str = field(repr=False)


@dataclass(frozen=True)
class Attributes:
    """What policies may ask about; `groups` are in order and each there once."""

    user_type: str | None
    groups: tuple[str, ...]
    language: Language


@dataclass(frozen=True)
class Unnamed:
    """A subject as others may know it; `version` grows with every change."""

    subject_ref: UUID
    version: int
    created: datetime
    attributes: Attributes


@dataclass(frozen=True)
class Subject(Unnamed):
    """A subject of a tenant, with what names it."""

    personal: Personal


class Keep(Enum):
    """Stands where a change leaves a value as it is."""

    KEEP = "keep"


@dataclass(frozen=True)
class SubjectChange:
    """New values; the subject's id itself never changes."""

    email: str | Keep | None = field(default=Keep.KEEP, repr=False)
    label: str | Keep = field(default=Keep.KEEP, repr=False)
    user_type: str | Keep | None = Keep.KEEP
    groups: frozenset[str] | Keep = Keep.KEEP
    language: Language | Keep = Keep.KEEP


_NOTHING_KNOWN = Attributes(user_type=None, groups=(), language=Language.ENGLISH)


def in_order(groups: frozenset[str]) -> tuple[str, ...]:
    """Return the groups in the order in which they are kept."""
    return tuple(sorted(groups))


def erased_subject(subject: Unnamed) -> Unnamed:
    """Return what is left of a subject: that it was there."""
    return Unnamed(
        subject.subject_ref,
        version=subject.version + 1,
        created=subject.created,
        attributes=_NOTHING_KNOWN,
    )


def changed_subject(subject: Subject, change: SubjectChange) -> Subject:
    """Return the next version, or the subject itself where nothing is new."""
    before, known = subject.attributes, subject.personal
    groups = before.groups if change.groups is Keep.KEEP else in_order(change.groups)
    attributes = Attributes(
        user_type=_either(change.user_type, before.user_type),
        groups=groups,
        language=_either(change.language, before.language),
    )
    personal = replace(
        known, email=_either(change.email, known.email), label=_either(change.label, known.label)
    )
    if (personal, attributes) == (known, before):
        return subject
    version = subject.version + 1
    return replace(subject, version=version, personal=personal, attributes=attributes)


def _either(new: Value | Keep, old: Value) -> Value:
    return old if isinstance(new, Keep) else new
