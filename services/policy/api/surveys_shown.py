"""What a look at rules answers."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal, TypeAlias, TypedDict
from uuid import UUID

from pydantic import BaseModel

from contracts.vocabulary import Factor
from services.policy.domain.survey import Fate, Replayed, Tally
from services.policy.use_cases.surveys import Draft, Surveyed

Message: TypeAlias = Literal["sms", "voice"]
_FREE = Decimal(0)


class Move(BaseModel):
    """So many people who meet something else than before."""

    before: Fate
    after: Fate
    people: int


class TallyWords(TypedDict):
    """What a tally says."""

    before: dict[Fate, int]
    after: dict[Fate, int]
    moves: list[Move]


class TallyShown(BaseModel):
    """How many people meet what: under the rules in force, and under these."""

    before: dict[Fate, int]
    after: dict[Fate, int]
    moves: list[Move]


class ApplicationTally(TallyShown):
    application_id: UUID
    name: str


class RuleReach(BaseModel):
    """How many people a rule decides about; `ready` have a factor that is good for it."""

    rule: str
    asks: str
    people: int
    ready: int
    not_ready: int


class LoginsShown(BaseModel):
    """What would have become of the logins of the last days; `messages` would have been sent."""

    days: int
    observed: int
    as_before: int
    by_another_factor: int
    not_asked: int
    enrolling: int
    denied: int
    messages: dict[Message, int]
    cost: Decimal


class Simulation(BaseModel):
    """Everybody is counted once in `people`, with the hardest of what they meet anywhere.

    `moments` are the next times at which these rules change something by themselves.
    """

    at: datetime
    people: TallyShown
    applications: list[ApplicationTally]
    rules: list[RuleReach]
    logins: LoginsShown
    moments: list[datetime]


def shown(surveyed: Surveyed, draft: Draft, prices: Mapping[Message, Decimal]) -> str:
    found = surveyed.survey
    return Simulation(
        at=draft.at,
        people=TallyShown(**_tally(found.everybody)),
        applications=[
            ApplicationTally(application_id=about, name=surveyed.names[about], **_tally(tally))
            for about, tally in found.by_application.items()
        ],
        rules=[
            RuleReach(
                rule=name,
                asks="deny" if reach.denied else reach.requirement.value,
                people=reach.people,
                ready=reach.ready,
                not_ready=reach.people - reach.ready,
            )
            for name, reach in found.by_rule.items()
        ],
        logins=_logins(found.logins, draft.days, prices),
        moments=list(surveyed.moments),
    ).model_dump_json()


def _tally(tally: Tally) -> TallyWords:
    return TallyWords(
        before={fate: tally.before[fate] for fate in Fate},
        after={fate: tally.after[fate] for fate in Fate},
        moves=[
            Move(before=before, after=after, people=people)
            for (before, after), people in sorted(tally.moves.items())
        ],
    )


def _logins(found: Replayed, days: int, prices: Mapping[Message, Decimal]) -> LoginsShown:
    sent: dict[Message, int] = {
        "sms": found.messages[Factor.SMS],
        "voice": found.messages[Factor.VOICE],
    }
    return LoginsShown(
        days=days,
        observed=found.observed,
        as_before=found.as_before,
        by_another_factor=found.by_another_factor,
        not_asked=found.not_asked,
        enrolling=found.enrolling,
        denied=found.denied,
        messages=sent,
        cost=sum(
            (prices.get(kind, Decimal(0)) * count for kind, count in sent.items()), Decimal(0)
        ),
    )
