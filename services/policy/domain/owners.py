"""Who owns a tenant, and how many of them have to stay."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from services.policy.domain.refusals import Refusal

_FOUR_EYES = 2


@dataclass(frozen=True)
class Settings:
    """What a tenant has chosen for itself; `version` grows with every change."""

    four_eyes: bool
    version: int


@dataclass(frozen=True)
class Owners:
    """The owners' keys in force, with their holders; the tenant's first one has none."""

    holders: Mapping[UUID, UUID | None]
    four_eyes: bool

    @property
    def people(self) -> frozenset[UUID]:
        """Return who holds these keys."""
        return frozenset(one for one in self.holders.values() if one is not None)


def refusal_without(owners: Owners, gone: frozenset[UUID]) -> Refusal | None:
    """Return why these keys cannot be revoked, or None where they can."""
    left = {key: holder for key, holder in owners.holders.items() if key not in gone}
    if len(left) == len(owners.holders):
        return None
    if not left:
        return Refusal.LAST_OWNER_KEY
    return missing_owner(Owners(left, owners.four_eyes)) if owners.four_eyes else None


def missing_owner(owners: Owners) -> Refusal | None:
    """Return why nobody could approve what one of these owners proposes, or None."""
    return None if len(owners.people) >= _FOUR_EYES else Refusal.TWO_OWNERS_NEEDED
