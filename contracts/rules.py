"""A tenant's rules as policy publishes them: the first that matches decides.

A reader may be of an earlier release than the publisher. It ignores attributes that it does not
know; criteria and words that it does not know let nobody off (`Match`, `Rule`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    PrivateAttr,
    model_validator,
)

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
    # A criterion of a later release may or may not be fulfilled: nobody here can tell.
    _asks_more: bool = PrivateAttr(default=False)

    @model_validator(mode="wrap")
    @classmethod
    def _note_unknown_criteria(cls, said: object, read: ModelWrapValidatorHandler[Self]) -> Self:
        match = read(said)
        # An empty list asks nothing, whatever it would be about.
        if isinstance(said, Mapping) and any(said[name] for name in said.keys() - cls.model_fields):
            match._asks_more = True
        return match

    @property
    def asks_more(self) -> bool:
        """Tell whether there are criteria that this release does not know."""
        return self._asks_more


class Rule(BaseModel):
    """What is asked of whom, and from when until when; the first factors are the preferred ones.

    A device is remembered for `remember_days`, 0 for never; without them as the operator has set.
    `denied` lets nobody in: a reader of an earlier release finds instead that a second step is
    required for which no factor is good. Enrolling may be put off `skips` times, and not at all
    from `enforced` on. `recovery` are the means that may be used, all of them where it is None.
    With `email_code` an enrollment opens only with a code that was sent to the login address.
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
    email_code: bool = False

    @model_validator(mode="before")
    @classmethod
    def _read_foreign_words(cls, said: object) -> object:
        # A rule whose words this release does not know requires what nobody can show.
        if not isinstance(said, Mapping):
            return said
        read = {**said, **_known_words(said)}
        if _has_foreign_factor(said):
            # Who has only that one is not let off for it.
            read |= _insisting(said)
        return {**read, **_FOR_NOBODY} if _is_unreadable(said, read) else read

    def skips_at(self, at: datetime) -> int:
        """Return how often enrolling may be put off in all, at this time."""
        return 0 if self.enforced is not None and at >= self.enforced else self.skips

    @property
    def usable(self) -> tuple[Factor, ...]:
        """Return the factors that are good for this rule, the preferred ones first."""
        strong = STRONG_ENOUGH[self.strength]
        if self.recovery is not None and RecoveryMeans.RECOVERY_CODE not in self.recovery:
            strong = strong - {Factor.RECOVERY_CODE}
        return tuple(one for one in self.factors if one in strong)


@dataclass(frozen=True)
class Login:
    """Who logs in where; `known` is False for somebody of whom no attribute has arrived.

    Such a one may have a `subject_ref` all the same.
    """

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
    CRITERION = "unknown_criterion"
    SUBJECT = "subject"
    USER_TYPE = "user_type"
    GROUP = "group"
    UNKNOWN_PERSON = "unknown_person"


def deciding_rule(rules: Sequence[Rule], login: Login, at: datetime) -> Rule | None:
    """Return the first rule that matches at this time, if any.

    A rule that names people may be about somebody unknown: where it requires something it decides,
    otherwise it is passed over. Nobody gets in because their attributes are still on the way, and
    nobody because a criterion is of a later release.
    """
    return next((rule for rule in rules if _decides(rule, login, at)), None)


def _decides(rule: Rule, login: Login, at: datetime) -> bool:
    if passed_over(rule, login, at) is not None:
        return False
    return _is_certain(rule.match, login) or rule.requirement is RuleRequirement.REQUIRED


def doubt(rule: Rule, login: Login) -> PassedOver | None:
    """Return why nobody can tell whether a rule is about a login, where that is so."""
    if rule.match.asks_more:
        return PassedOver.CRITERION
    return None if _is_certain(rule.match, login) else PassedOver.UNKNOWN_PERSON


def factors_for(
    rules: Sequence[Rule], login: Login, at: datetime, *, otherwise: Sequence[Factor]
) -> Sequence[Factor]:
    """Return which factors are good for a login: `otherwise` where no rule names any."""
    rule = deciding_rule(rules, login, at)
    if rule is None:
        return otherwise
    if rule.denied:
        return ()
    if rule.usable or rule.requirement is not RuleRequirement.OFF:
        return rule.usable
    return tuple(factor for factor in otherwise if factor in STRONG_ENOUGH[rule.strength])


def passed_over(rule: Rule, login: Login, at: datetime) -> PassedOver | None:
    """Return why a rule cannot decide, or None where it can."""
    match = rule.match
    if rule.starts is not None and at < rule.starts:
        return PassedOver.NOT_STARTED
    if rule.ends is not None and at >= rule.ends:
        return PassedOver.ENDED
    if match.applications and login.application_id not in match.applications:
        return PassedOver.APPLICATION
    return _not_about(match, login)


def _not_about(match: Match, login: Login) -> PassedOver | None:
    is_somebody = login.known or login.subject_ref is not None
    if match.subjects and is_somebody and login.subject_ref not in match.subjects:
        return PassedOver.SUBJECT
    if not login.known:
        return None
    if match.user_types and login.user_type not in match.user_types:
        return PassedOver.USER_TYPE
    if match.groups and not set(match.groups) & set(login.groups):
        return PassedOver.GROUP
    return None


def _is_certain(match: Match, login: Login) -> bool:
    if match.asks_more:
        return False
    if login.known:
        return True
    by_name = bool(match.subjects) and login.subject_ref is None
    return not (by_name or match.user_types or match.groups)


_WORDS: Mapping[str, type[StrEnum]] = {"requirement": RuleRequirement, "strength": Strength}
_LISTS: Mapping[str, type[StrEnum]] = {
    "factors": Factor,
    "recovery": RecoveryMeans,
    "may_disable": Disabler,
}
_FOR_NOBODY: Mapping[str, object] = {
    "requirement": RuleRequirement.REQUIRED,
    "strength": Strength.ANY,
    "factors": (),
    "remember_days": 0,
    "skips": 0,
}


def _known_words(said: Mapping[str, object]) -> Mapping[str, object]:
    """Return the lists of a rule without what this release does not know: fewer ways are safe."""
    return {
        name: [word for word in listed if not _is_foreign(word, words)]
        for name, words in _LISTS.items()
        if isinstance(listed := said.get(name), list | tuple)
    }


def _has_foreign_factor(said: Mapping[str, object]) -> bool:
    listed = said.get("factors")
    return isinstance(listed, list | tuple) and any(_is_foreign(one, Factor) for one in listed)


def _insisting(said: Mapping[str, object]) -> Mapping[str, object]:
    is_optional = said.get("requirement") == RuleRequirement.OPTIONAL
    return {"skips": 0} | ({"requirement": RuleRequirement.REQUIRED} if is_optional else {})


def _is_unreadable(said: Mapping[str, object], read: Mapping[str, object]) -> bool:
    foreign = any(_is_foreign(said.get(name), words) for name, words in _WORDS.items())
    return foreign or bool(said.get("factors") and not read.get("factors"))


def _is_foreign(word: object, words: type[StrEnum]) -> bool:
    # What is no word at all is no matter of releases.
    return isinstance(word, str) and word not in words.__members__.values()
