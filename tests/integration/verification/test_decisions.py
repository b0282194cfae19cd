"""Decisions at the moments at which rules change, and of rules that deny."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.rules import Match
from contracts.vocabulary import Requirement
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import MakeDatabase, TestClock
from tests.integration.verification.conftest import World, running_world
from tests.integration.verification.factors import REASONS
from tests.integration.verification.skipping import (
    STRANGER,
    nudging,
    skip,
)
from tests.integration.verification.test_rules import becomes, rule
from tests.integration.verification.test_rules_attacked import next_policy

_TICK = timedelta(microseconds=1)


@dataclass
class _StandingClock(TestClock):
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.at + self.offset


@pytest.mark.requirement("B1")
async def test_a_rule_is_right_at_the_very_moments_at_which_it_changes(
    servers: RunningServers, service_database: MakeDatabase, tmp_path: Path
) -> None:
    stored, clock = await service_database("verification"), _StandingClock()
    starts = (clock.at + timedelta(hours=1)).replace(second=0, microsecond=0)
    enforced, ends = starts + timedelta(hours=1), starts + timedelta(hours=2)
    asks = nudging(2, enforced=enforced).model_copy(update={"starts": starts, "ends": ends})
    moments = [at + by for at in (starts, enforced, ends) for by in (-_TICK, timedelta(), _TICK)]
    found = []

    async with running_world(stored, servers.valkey_url, tmp_path, clock=clock) as world:
        application = await world.application(requirement=Requirement.OFF, rules=(asks,))
        for moment in moments:
            clock.at = moment
            answer = (await world.decide(application, STRANGER)).json()
            put_off = await skip(world, application, f"{moment.timestamp()}@example.org")
            found.append((answer["decision"], answer.get("skips_left"), put_off.status_code))

    before, nudged, forced = ("allow", None, 409), ("enroll", 2, 200), ("enroll", 0, 409)
    assert found == [before, *[nudged] * 3, *[forced] * 3, *[before] * 2]


@pytest.mark.requirement("E1")
async def test_who_is_denied_gets_in_by_nothing(world: World) -> None:
    application = await world.application(scopes=REASONS)
    person = await world.person(application.tenant)
    await becomes(world, person, "guest", version=1)
    headers = {"Authorization": f"Bearer {application.key}"}
    body = {"subject": person.name, "code": world.code(person), "device": {"remember": True}}
    token = (await world.public.post("/v1/verify", json=body, headers=headers)).json()["device"]

    denied = rule("guests", match=Match(user_types=("guest",)), factors=())
    await next_policy(world, application, denied.model_copy(update={"denied": True}))
    asking = {"subject": person.name, "device": token["token"]}
    decided = (await world.public.post("/v1/decisions", json=asking, headers=headers)).json()
    refused = await world.verify(application, person, world.code(person, steps=1))
    blind = await world.application(tenant=application.tenant, rules=(denied,))
    await next_policy(world, blind, denied.model_copy(update={"denied": True}))
    neutral = await world.verify(blind, person, world.code(person, steps=1))

    assert (decided["decision"], decided["reason"]) == ("deny", "denied")
    assert (decided["factors"], decided["remembered"]) == ([], False)
    assert (refused.status_code, refused.json()["detail"]) == (403, "denied")
    assert (neutral.status_code, neutral.json()["code"]) == (403, "not_verified")
    assert "detail" not in neutral.json()
