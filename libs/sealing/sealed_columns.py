"""What a service keeps sealed: which columns, under keys of which purpose, bound to what place."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg


@dataclass(frozen=True)
class Change:
    """A row whose value was sealed anew; `old` is what it must still be."""

    row: asyncpg.Record
    old: bytes = field(repr=False)
    new: bytes = field(repr=False)


# Puts new values in the place of old ones, where they still are; returns how many.
Save = Callable[[UUID, Sequence[Change]], Awaitable[int]]


@dataclass(frozen=True)
class SealedColumn:
    """A column of sealed values (libs/sealing/seal.py) in a table with `tenant_id`.

    `row` are the columns that tell the rows of a tenant apart, each with its SQL type, `about` what
    else `place` needs. `save` is for tables where a change takes more than a compare-and-set.
    """

    table: str
    column: str
    purpose: str
    row: Mapping[str, str]
    place: Callable[[UUID, asyncpg.Record], Sequence[str]]
    about: Sequence[str] = ()
    save: Save | None = None
    at_once: int = 100

    @property
    def name(self) -> str:
        """Return what it is called in plans."""
        return f"{self.table}.{self.column}"


@dataclass(frozen=True)
class KeptKey:
    """A purpose whose keys make digests: what they made cannot be made again from what is stored.

    These data keys keep their version, and are wrapped again only; `why` stands in plans.
    """

    purpose: str
    why: str
    columns: Sequence[str] = ()


@dataclass(frozen=True)
class Sealed:
    """All that a service does with data keys."""

    columns: Sequence[SealedColumn]
    kept: Sequence[KeptKey] = ()

    def of(self, purpose: str) -> Sequence[SealedColumn]:
        """Return the columns that a purpose's keys seal."""
        return [one for one in self.columns if one.purpose == purpose]

    @property
    def purposes(self) -> Sequence[str]:
        """Return the purposes whose keys can be replaced."""
        return sorted({one.purpose for one in self.columns})
