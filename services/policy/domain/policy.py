"""What an application asks of its subjects, in versions."""

from dataclasses import dataclass, replace
from enum import Enum
from uuid import UUID

from contracts.rules import Rule
from contracts.vocabulary import Factor, Requirement
from services.policy.domain.refusals import Refusal

# What a subject can enroll today; a policy that asks for anything else would lock people out.
ENROLLABLE = frozenset(Factor) - {Factor.PUSH, Factor.RECOVERY_KEY}
# What can be shown at a login today: POST /v1/verify judges it.
SHOWN_AT_LOGIN = frozenset({Factor.TOTP, Factor.HOTP, Factor.PIN, Factor.RECOVERY_CODE})


class NoWayIn(Enum):
    """Why nobody gets in who is not enrolled yet, where one of some factors is required."""

    NOT_ENROLLABLE = "none of its factors can be enrolled yet"
    NOT_SHOWN = "those of its factors that can be enrolled are good for no login yet"


@dataclass(frozen=True)
class Terms:
    """What is asked, and which factors are good for it."""

    requirement: Requirement
    factors: frozenset[Factor]


STANDARD_TERMS = Terms(Requirement.REQUIRED, frozenset({Factor.TOTP}))


@dataclass(frozen=True)
class Ruled:
    """The tenant's rules that can be about an application, and of which version they are."""

    rules: tuple[Rule, ...] = ()
    version: int | None = None
    digest: str | None = None


NO_RULES = Ruled()


@dataclass(frozen=True)
class Policy:
    """One version of an application's policy: `terms` count where no rule decides."""

    application_id: UUID
    version: int
    terms: Terms
    ruled: Ruled = NO_RULES


def standard_policy(application_id: UUID) -> Policy:
    """Return version 1 for an application of which nobody said what it asks."""
    return Policy(application_id, version=1, terms=STANDARD_TERMS)


def first_policy(application_id: UUID, terms: Terms, ruled: Ruled = NO_RULES) -> Policy | Refusal:
    """Return version 1."""
    return _refusal_of(terms) or Policy(application_id, version=1, terms=terms, ruled=ruled)


def next_policy(policy: Policy, terms: Terms) -> Policy | Refusal:
    """Return the version with these terms: the same one where they are the same."""
    if terms == policy.terms:
        return policy
    return _refusal_of(terms) or replace(policy, version=policy.version + 1, terms=terms)


def ruled_policy(policy: Policy, ruled: Ruled) -> Policy:
    """Return the version under these rules: the same one where it is under them already."""
    if ruled == policy.ruled:
        return policy
    return replace(policy, version=policy.version + 1, ruled=ruled)


def no_way_in(factors: frozenset[Factor]) -> NoWayIn | None:
    """Return why these factors would let nobody new in, or None where one of them does."""
    if not factors & ENROLLABLE:
        return NoWayIn.NOT_ENROLLABLE
    return None if factors & ENROLLABLE & SHOWN_AT_LOGIN else NoWayIn.NOT_SHOWN


def _refusal_of(terms: Terms) -> Refusal | None:
    if not terms.factors <= ENROLLABLE:
        return Refusal.FACTOR_NOT_AVAILABLE
    if terms.requirement is not Requirement.REQUIRED:
        return None
    if not terms.factors:
        return Refusal.NO_FACTOR
    return Refusal.NO_FACTOR_AT_LOGIN if no_way_in(terms.factors) is not None else None
