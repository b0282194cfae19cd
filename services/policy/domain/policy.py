"""What an application asks of its subjects, in versions."""

from dataclasses import dataclass
from uuid import UUID

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
class Policy:
    """One version of an application's policy."""

    application_id: UUID
    version: int
    terms: Terms


def standard_policy(application_id: UUID) -> Policy:
    """Return version 1 for an application of which nobody said what it asks."""
    return Policy(application_id, version=1, terms=STANDARD_TERMS)


def first_policy(application_id: UUID, terms: Terms) -> Policy | Refusal:
    """Return version 1."""
    return _refusal_of(terms) or Policy(application_id, version=1, terms=terms)


def next_policy(policy: Policy, terms: Terms) -> Policy | Refusal:
    """Return the version with these terms: the same one where they are the same."""
    if terms == policy.terms:
        return policy
    version = policy.version + 1
    return _refusal_of(terms) or Policy(policy.application_id, version=version, terms=terms)


def _refusal_of(terms: Terms) -> Refusal | None:
    if not terms.factors <= ENROLLABLE:
        return Refusal.FACTOR_NOT_AVAILABLE
    if terms.requirement is Requirement.REQUIRED and not terms.factors:
        return Refusal.NO_FACTOR
    return None
