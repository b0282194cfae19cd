import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from contracts.internal import ACKNOWLEDGE_CONTACT, CLAIM_CONTACT, letter_place
from contracts.topics import REPLAYABLE_FOR
from libs.sealing.letter import LetterBox
from libs.sealing.seal import SealBroken
from tests.fixtures.services import TestClock
from tests.integration.policy.bench import Bench, Tenant

_ANNA = {"subject": "anna", "email": "anna@example.org", "label": "Anna", "language": "nl"}
_ANSWER = {"email": "anna@example.org", "language": "nl"}
_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)


@dataclass(frozen=True)
class Claiming:
    """One subject, and one event that somebody is to be told of."""

    bench: Bench
    tenant: Tenant
    subject_ref: str
    caused_by: UUID = field(default_factory=uuid4)

    async def claim(
        self, attempt: UUID, *, bench: Bench | None = None, caused_by: UUID | None = None
    ) -> object:
        """Claim as notification does: the content of the letter, or the status of a refusal."""
        box, tenant = LetterBox(), self.tenant.tenant_id
        body = self._body(attempt, caused_by or self.caused_by) | {
            "subject_ref": self.subject_ref,
            "public_key": box.public_key,
        }
        answer = await (bench or self.bench).call(CLAIM_CONTACT, body)
        if answer.status_code != 200:
            return answer.status_code
        place = letter_place(CLAIM_CONTACT, tenant, self.subject_ref, attempt)
        elsewhere = letter_place(CLAIM_CONTACT, tenant, self.subject_ref, uuid4())
        with pytest.raises(SealBroken):
            box.open(answer.json()["letter"], place=elsewhere)
        return box.open(answer.json()["letter"], place=place)

    async def acknowledge(self, attempt: UUID) -> int:
        """Acknowledge as notification does."""
        body = self._body(attempt, self.caused_by)
        return (await self.bench.call(ACKNOWLEDGE_CONTACT, body)).status_code

    def _body(self, attempt: UUID, caused_by: UUID) -> dict[str, object]:
        return {
            "tenant": str(self.tenant.tenant_id),
            "caused_by": str(caused_by),
            "attempt_id": str(attempt),
        }


@pytest.fixture
async def anna(bench: Bench, tenant: Tenant) -> Claiming:
    return await _claiming(bench, tenant)


async def _claiming(bench: Bench, tenant: Tenant, **changes: object) -> Claiming:
    made = (await tenant.api("POST", "/v1/subjects", _ANNA | changes)).json()
    return Claiming(bench, tenant, made["subject_ref"])


async def _stored(bench: Bench, tenant: Tenant) -> list[UUID]:
    rows = await bench.owner.fetch(
        "SELECT caused_by FROM contact_claim WHERE tenant_id = $1", tenant.tenant_id
    )
    return [row["caused_by"] for row in rows]


async def test_repeating_the_attempt_gets_the_same(anna: Claiming) -> None:
    attempt = uuid4()

    assert [await anna.claim(attempt) for _ in range(3)] == [_ANSWER] * 3


@pytest.mark.fault("R21")
async def test_another_attempt_gets_nothing(anna: Claiming) -> None:
    attempt, other = uuid4(), uuid4()
    await anna.claim(attempt)

    assert await anna.claim(other) == 409
    assert await anna.acknowledge(other) == 409
    assert await anna.claim(attempt) == _ANSWER


@pytest.mark.fault("R21")
async def test_of_attempts_at_once_one_gets_it(anna: Claiming) -> None:
    for _ in range(5):
        event, attempts = uuid4(), [uuid4() for _ in range(8)]

        answers = await asyncio.gather(*(anna.claim(one, caused_by=event) for one in attempts))

        assert (answers.count(_ANSWER), answers.count(409)) == (1, 7)


async def test_an_attempt_twice_at_once_gets_it_twice(anna: Claiming) -> None:
    attempt = uuid4()

    assert await asyncio.gather(*(anna.claim(attempt) for _ in range(4))) == [_ANSWER] * 4


async def test_the_next_event_is_another_claim(anna: Claiming) -> None:
    await anna.claim(uuid4())

    assert await anna.claim(uuid4(), caused_by=uuid4()) == _ANSWER


async def test_after_the_acknowledgement_nobody_gets_it(anna: Claiming) -> None:
    attempt = uuid4()
    await anna.claim(attempt)

    assert [await anna.acknowledge(attempt) for _ in range(2)] == [200, 200]

    assert await anna.claim(attempt) == 410
    assert await anna.claim(uuid4()) == 409


async def test_what_nobody_claimed_cannot_be_acknowledged(anna: Claiming) -> None:
    attempt = uuid4()

    assert await anna.acknowledge(attempt) == 404

    assert await anna.claim(attempt) == _ANSWER


@pytest.mark.parametrize(("age", "expected"), [(_DAY - _MINUTE, _ANSWER), (_DAY, 410)])
async def test_a_claim_expires_after_a_day(
    bench: Bench, anna: Claiming, age: timedelta, expected: object
) -> None:
    attempt, clock = uuid4(), TestClock()
    await anna.claim(attempt, bench=(later := bench.at(clock)))

    clock.forward(age)

    assert await anna.claim(attempt, bench=later) == expected
    assert await anna.claim(uuid4(), bench=later) == 409


@pytest.mark.fault("R21")
@pytest.mark.parametrize(("age", "kept"), [(REPLAYABLE_FOR, True), (REPLAYABLE_FOR + _DAY, False)])
async def test_a_claim_is_remembered_for_as_long_as_its_event_can_come_again(
    bench: Bench, anna: Claiming, age: timedelta, kept: bool
) -> None:
    clock, another = TestClock(), uuid4()
    await anna.claim(uuid4(), bench=(later := bench.at(clock)))

    clock.forward(age)
    await anna.claim(uuid4(), bench=later, caused_by=another)

    assert (anna.caused_by in await _stored(bench, anna.tenant)) == kept
    assert another in await _stored(bench, anna.tenant)


async def test_an_address_that_is_not_known_or_was_erased(bench: Bench, tenant: Tenant) -> None:
    nowhere, attempt = await _claiming(bench, tenant, email=None, language="en"), uuid4()

    assert await nowhere.claim(attempt) == {"email": None, "language": "en"}
    await tenant.api("DELETE", f"/v1/subjects/{nowhere.subject_ref}")
    assert await nowhere.claim(attempt) == 404


async def test_a_claim_stays_with_its_subject_and_its_tenant(
    bench: Bench, tenant: Tenant, anna: Claiming
) -> None:
    attempt = uuid4()
    await anna.claim(attempt)
    berta = await _claiming(bench, tenant, subject="berta", label="Berta")
    other = await _claiming(bench, await bench.new_tenant())
    stranger = Claiming(bench, tenant, other.subject_ref)

    assert await berta.claim(attempt, caused_by=anna.caused_by) == 404
    assert await stranger.claim(attempt) == 404
    assert await other.claim(uuid4(), caused_by=anna.caused_by) == _ANSWER
    # Of whom there is not, nothing is kept.
    assert await _stored(bench, tenant) == [anna.caused_by]


async def test_a_claim_without_a_key_is_refused_and_can_be_repeated(anna: Claiming) -> None:
    attempt = uuid4()
    body = {
        "tenant": str(anna.tenant.tenant_id),
        "subject_ref": anna.subject_ref,
        "caused_by": str(anna.caused_by),
        "attempt_id": str(attempt),
        "public_key": "bm90IGEga2V5",
    }

    assert (await anna.bench.call(CLAIM_CONTACT, body)).status_code == 422
    assert await anna.claim(attempt) == _ANSWER


@pytest.mark.security("S14")
async def test_a_claim_holds_no_address(anna: Claiming) -> None:
    await anna.claim(uuid4())

    rows = await anna.bench.owner.fetch("SELECT to_jsonb(c)::text AS row FROM contact_claim c")
    assert rows
    assert "anna" not in str(rows).lower()
