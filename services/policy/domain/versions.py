"""Versions of a tenant's rules, and their coming into force; neither ever changes."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.policy.domain.rules import RulesText


@dataclass(frozen=True)
class RulesVersion:
    """One version: what it says, who wrote it and why; `author` is the key that sent it."""

    version: int
    text: RulesText
    digest: str
    author: UUID
    reason: str
    created: datetime


@dataclass(frozen=True)
class Publication:
    """A version came into force."""

    number: int
    version: int
    published_by: UUID
    reason: str
    published: datetime
