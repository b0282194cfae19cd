from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from contracts.vocabulary import Factor
from services.enrollment.domain import authenticator
from services.enrollment.domain.claim import claim_refusal
from services.enrollment.domain.enrollment import (
    LIFETIME,
    TRIES,
    Enrollment,
    Status,
    after_wrong_code,
    confirmed,
    may_repeat,
    status_at,
)
from services.enrollment.domain.name import is_name
from services.enrollment.domain.places import name_place, secret_place
from services.enrollment.domain.refusals import Refusal
from services.enrollment.domain.totp import STANDARD

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


def an_enrollment(*, status: Status = Status.PENDING, tries_left: int = TRIES) -> Enrollment:
    return Enrollment(
        enrollment_id=uuid4(),
        authenticator_id=uuid4(),
        subject_ref=uuid4(),
        application_id=uuid4(),
        factor=Factor.TOTP,
        parameters=STANDARD,
        status=status,
        tries_left=tries_left,
        expires=NOW + LIFETIME,
        confirmed_at=None,
    )


@pytest.mark.parametrize(
    ("at", "status"),
    [
        (NOW, Status.PENDING),
        (NOW + LIFETIME - INSTANT, Status.PENDING),
        (NOW + LIFETIME, Status.EXPIRED),
        (NOW + LIFETIME + INSTANT, Status.EXPIRED),
    ],
)
def test_a_pending_enrollment_expires(at: datetime, status: Status) -> None:
    assert status_at(an_enrollment(), at) is status


@pytest.mark.parametrize("status", [one for one in Status if one is not Status.PENDING])
def test_what_is_over_stays_as_it_is(status: Status) -> None:
    assert status_at(an_enrollment(status=status), NOW + 2 * LIFETIME) is status


def test_every_wrong_code_costs_a_try_and_the_fifth_ends_it() -> None:
    enrollment, seen = an_enrollment(), []
    for _ in range(6):
        enrollment = after_wrong_code(enrollment)
        seen.append((enrollment.tries_left, enrollment.status))

    assert seen == [
        (4, Status.PENDING),
        (3, Status.PENDING),
        (2, Status.PENDING),
        (1, Status.PENDING),
        (0, Status.EXHAUSTED),
        (0, Status.EXHAUSTED),
    ]


def test_wrong_repeats_do_not_undo_a_confirmation() -> None:
    enrollment = confirmed(an_enrollment(tries_left=1), NOW)

    after = after_wrong_code(enrollment)

    assert (after.status, after.tries_left) == (Status.CONFIRMED, 0)
    assert may_repeat(enrollment, NOW)
    assert not may_repeat(after, NOW)


def test_a_confirmation_may_be_repeated_until_the_enrollment_expires() -> None:
    enrollment = confirmed(an_enrollment(), NOW)

    assert may_repeat(enrollment, NOW + LIFETIME - INSTANT)
    assert not may_repeat(enrollment, NOW + LIFETIME)
    assert not may_repeat(replace(enrollment, status=Status.PENDING), NOW)


ATTEMPT, OTHER = UUID(int=1), UUID(int=2)
ACTIVE, REMOVING = authenticator.Status.ACTIVE, authenticator.Status.REMOVING
REMOVED = authenticator.Status.REMOVED


@pytest.mark.parametrize(
    ("status", "claimed_by", "erased", "refusal"),
    [
        (ACTIVE, None, False, None),
        (ACTIVE, ATTEMPT, False, None),
        (ACTIVE, ATTEMPT, True, Refusal.GONE),
        (ACTIVE, OTHER, False, Refusal.CLAIMED_BY_ANOTHER),
        (ACTIVE, OTHER, True, Refusal.CLAIMED_BY_ANOTHER),
        (REMOVING, None, True, Refusal.GONE),
        (REMOVING, ATTEMPT, True, Refusal.GONE),
        (REMOVED, OTHER, True, Refusal.GONE),
    ],
)
def test_only_the_first_attempt_gets_a_credential(
    status: authenticator.Status,
    claimed_by: UUID | None,
    refusal: Refusal | None,
    *,
    erased: bool,
) -> None:
    found = claim_refusal(ATTEMPT, status=status, claimed_by=claimed_by, erased=erased)

    assert found is refusal


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("My old phone", True),
        ("Zo\u00eb's \u96fb\u8a71", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("", False),
        (" phone", False),
        ("phone\u00a0", False),
        ("pho\nne", False),
        ("pho\u202ene", False),
        ("pho\u200bne", False),
        ("cafe\u0301", False),
    ],
)
def test_a_name_is_what_can_be_seen(name: str, *, good: bool) -> None:
    assert is_name(name) is good


def test_every_part_of_a_place_matters() -> None:
    ids = [UUID(int=number) for number in range(4)]
    places = {
        secret_place(tenant, subject, authenticator_id=one, factor=factor)
        for tenant in ids[:2]
        for subject in ids[:2]
        for one in ids[:2]
        for factor in (Factor.TOTP, Factor.HOTP)
    }
    names = {name_place(ids[0], ids[1], owner=one) for one in ids}

    assert len(places) == 16
    assert len(names) == 4
    assert places.isdisjoint(names)
