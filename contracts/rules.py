"""A tenant's rules as policy publishes them: the first that matches decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from contracts.vocabulary import Factor

# Readers ignore what they do not know: a rule may gain attributes.
_PUBLISHED = ConfigDict(frozen=True, extra="ignore")


class RuleRequirement(StrEnum):
    """How firmly a rule asks for a second step."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Strength(StrEnum):
    """A named set of factors that are strong enough."""

    ANY = "any"
    NO_PHONE_NETWORK = "no_phone_network"
    PHISHING_RESISTANT = "phishing_resistant"


class RecoveryMeans(StrEnum):
    """A way back in for somebody whose authenticator is lost."""

    RECOVERY_KEY = "recovery_key"
    RECOVERY_CODE = "recovery_code"
    BACKUP_EMAIL = "backup_email"
    SERVICE_DESK = "service_desk"


class Disabler(StrEnum):
    """Who may take the last authenticator away, while nothing is required (requirement E5)."""

    PERSON = "person"
    ADMINISTRATOR = "administrator"


_PHONE_NETWORK = frozenset({Factor.SMS, Factor.VOICE})
STRONG_ENOUGH: dict[Strength, frozenset[Factor]] = {
    Strength.ANY: frozenset(Factor),
    Strength.NO_PHONE_NETWORK: frozenset(Factor) - _PHONE_NETWORK,
    # NIST SP 800-63B-4 section 3.2.5: nothing that a person could read out to an impostor.
    Strength.PHISHING_RESISTANT: frozenset({Factor.PASSKEY}),
}


class Match(BaseModel):
    """Whom a rule is about: each list that is not empty has to name the login or the person."""

    model_config = _PUBLISHED
    applications: tuple[UUID, ...] = ()
    user_types: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    subjects: tuple[UUID, ...] = ()


class Rule(BaseModel):
    """What is asked of whom, and from when until when; the first factors are the preferred ones.

    A device is remembered for `remember_days`, 0 for never; without them as the operator has set.
    `denied` lets nobody in: a reader of an earlier release finds instead that a second step is
    required for which no factor is good. Enrolling may be put off `skips` times, and not at all
    from `enforced` on. `recovery` are the means that may be used, all of them where it is None.
    """

    model_config = _PUBLISHED
    name: str
    match: Match
    starts: datetime | None
    requirement: RuleRequirement
    factors: tuple[Factor, ...]
    strength: Strength
    remember_days: int | None = None
    ends: datetime | None = None
    denied: bool = False
    skips: int = 0
    enforced: datetime | None = None
    recovery: tuple[RecoveryMeans, ...] | None = None
    may_disable: tuple[Disabler, ...] = (Disabler.PERSON, Disabler.ADMINISTRATOR)

    def skips_at(self, at: datetime) -> int:
        """Return how often enrolling may be put off in all, at this time."""
        return 0 if self.enforced is not None and at >= self.enforced else self.skips

    @property
    def usable(self) -> tuple[Factor, ...]:
        """Return the factors that are good for this rule, the preferred ones first."""
        return tuple(one for one in self.factors if one in STRONG_ENOUGH[self.strength])


@dataclass(frozen=True)
class Login:
    """Who logs in where; `known` is False for somebody of whom no attribute has arrived."""

    application_id: UUID
    subject_ref: UUID | None = None
    user_type: str | None = None
    groups: Sequence[str] = ()
    known: bool = True


class PassedOver(StrEnum):
    """Why a rule does not decide."""

    NOT_STARTED = "not_started"
    ENDED = "ended"
    APPLICATION = "application"
    SUBJECT = "subject"
    USER_TYPE = "user_type"
    GROUP = "group"
    UNKNOWN_PERSON = "unknown_person"


def deciding_rule(rules: Sequence[Rule], login: Login, at: datetime) -> Rule | None:
    """Return the first rule that matches at this time, if any.

    A rule that names people may be about somebody unknown: where it requires something it decides,
    otherwise it is passed over. Nobody gets in because their attributes are still on the way.
    """
    return next((rule for rule in rules if _decides(rule, login, at)), None)


def _decides(rule: Rule, login: Login, at: datetime) -> bool:
    if passed_over(rule, login, at) is not None:
        return False
    certain = login.known or not _names_people(rule.match)
    return certain or rule.requirement is RuleRequirement.REQUIRED


def factors_for(
    rules: Sequence[Rule], login: Login, at: datetime, *, otherwise: Sequence[Factor]
) -> Sequence[Factor]:
    """Return which factors are good for a login: `otherwise` where no rule names any."""
    rule = deciding_rule(rules, login, at)
    if rule is None:
        return otherwise
    if rule.denied:
        return ()
    strong = STRONG_ENOUGH[rule.strength]
    return rule.usable or tuple(factor for factor in otherwise if factor in strong)


def passed_over(rule: Rule, login: Login, at: datetime) -> PassedOver | None:
    """Return why a rule cannot decide, or None where it can."""
    match = rule.match
    if rule.starts is not None and at < rule.starts:
        return PassedOver.NOT_STARTED
    if rule.ends is not None and at >= rule.ends:
        return PassedOver.ENDED
    if match.applications and login.application_id not in match.applications:
        return PassedOver.APPLICATION
    return _not_about(match, login) if login.known else None


def _not_about(match: Match, login: Login) -> PassedOver | None:
    if match.subjects and login.subject_ref not in match.subjects:
        return PassedOver.SUBJECT
    if match.user_types and login.user_type not in match.user_types:
        return PassedOver.USER_TYPE
    if match.groups and not set(match.groups) & set(login.groups):
        return PassedOver.GROUP
    return None


def _names_people(match: Match) -> bool:
    return bool(match.subjects or match.user_types or match.groups)
