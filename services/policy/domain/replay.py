"""What would have become of the logins that were seen."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from contracts.decisions import Decision
from contracts.vocabulary import DecisionKind, Factor
from services.policy.domain.meeting import Alike, Asker

_MESSAGES = frozenset({Factor.SMS, Factor.VOICE})


@dataclass(frozen=True)
class Observed:
    """So many logins of people alike, at one application, by one factor."""

    who: Alike
    application_id: UUID
    factor: Factor
    logins: int


@dataclass
class Replayed:
    """What would have become of the logins that were observed; each stands in one of the first."""

    as_before: int = 0
    by_another_factor: int = 0
    not_asked: int = 0
    enrolling: int = 0
    denied: int = 0
    messages: Counter[Factor] = field(default_factory=Counter)

    @property
    def observed(self) -> int:
        """Return how many logins that were."""
        first = self.as_before + self.by_another_factor
        return first + self.not_asked + self.enrolling + self.denied


def replayed(observed: Iterable[Observed], asking: Mapping[UUID, Asker], at: datetime) -> Replayed:
    """Go through them again, as the applications ask at this time."""
    found = Replayed()
    for one in observed:
        if one.application_id in asking:
            _replay(found, one, asking[one.application_id].way.decision(one.who, at))
    return found


def _replay(found: Replayed, one: Observed, decision: Decision) -> None:
    match decision.kind:
        case DecisionKind.ALLOW:
            found.not_asked += one.logins
            return
        case DecisionKind.DENY:
            found.denied += one.logins
            return
        case DecisionKind.ENROLL:
            found.enrolling += one.logins
            return
        case DecisionKind.CHALLENGE:
            same = one.factor in decision.factors
            # Whoever has a choice goes on as before; otherwise the preferred factor comes first.
            factor = one.factor if same else Factor(decision.factors[0])
    if same:
        found.as_before += one.logins
    else:
        found.by_another_factor += one.logins
    if factor in _MESSAGES:
        found.messages[factor] += one.logins
