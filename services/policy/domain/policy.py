"""What an application asks of its subjects, in versions."""

from dataclasses import dataclass, replace
from uuid import UUID

from contracts.rules import Rule
from contracts.vocabulary import Factor, Requirement
from services.policy.domain.refusals import Refusal

# What a subject can enroll today; a policy that asks for anything else would lock people out.
ENROLLABLE = frozenset({Factor.TOTP})


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


def _refusal_of(terms: Terms) -> Refusal | None:
    if not terms.factors <= ENROLLABLE:
        return Refusal.FACTOR_NOT_AVAILABLE
    if terms.requirement is Requirement.REQUIRED and not terms.factors:
        return Refusal.NO_FACTOR
    return None
