from datetime import UTC, datetime

import pytest
import time_machine

from bench.verify.people import People, Turns, limited, sparing
from services.verification.domain.otp import OtpParameters
from services.verification.domain.totp import matching_step

NOW = datetime(2026, 3, 1, 12, 0, 7, tzinfo=UTC)


@pytest.mark.parametrize("period", [15, 30])
def test_a_person_serves_one_request_in_a_step_and_one_in_the_next(period: int) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        turns = Turns(range(3), period=period)
        first = [turns.take_new() for _ in range(3)]
        second = [turns.take() for _ in range(3)]

        assert turns.used_up
        assert turns.take() is None
        assert [a and a[0] for a in first] == [b and b[0] for b in second]
        assert [b[1] - a[1] for a, b in zip(first, second, strict=True) if a and b] == [1, 1, 1]

        clock.shift(period)

        assert not turns.used_up
        assert turns.take() is not None


@pytest.mark.parametrize("period", [15, 30])
def test_the_code_of_a_turn_is_the_one_that_verification_expects(period: int) -> None:
    people = People(10, 0, 0, b"seed" * 8, period)
    with time_machine.travel(NOW, tick=False):
        turns = Turns(people.right, period=period)
        turn = turns.take_new()

    assert turn is not None
    number, step = turn
    code, parameters = people.code(number, step), OtpParameters("SHA1", 6)
    secret = people.secret(number)
    found = matching_step(secret, code, parameters=parameters, period=period, at=NOW)
    assert found == step


def test_how_many_have_an_unused_code_is_known_without_counting() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        turns = Turns(range(3), period=15)
        turns.take_new()
        turns.take_new()
        assert not turns.has(1)
        turns.take_new()
        assert turns.has(3)

        # The first has used the code of the next step, the others not yet.
        turns.take()
        assert [turns.has(count) for count in (1, 2, 3)] == [True, True, False]
        turns.take()
        turns.take()
        assert not turns.has(1)
        clock.shift(15)
        assert turns.has(3)


def test_turns_end_after_a_limit_and_pass_over_who_is_spared() -> None:
    with time_machine.travel(NOW, tick=False):
        turns = Turns(range(100), period=15)
        take = limited(sparing(turns.take_new, every=10), 30)

        taken = [turn[0] for turn in iter(take, None) if turn is not None]

    assert len(set(taken)) == 30
    assert not any(number % 10 == 0 for number in taken)


def test_the_spared_are_asked_for_in_turns_of_their_own() -> None:
    with time_machine.travel(NOW, tick=False):
        turns = Turns(range(0, 100, 10), period=15)

        taken = [turn[0] for turn in iter(turns.take_new, None) if turn is not None]

    assert sorted(taken) == list(range(0, 100, 10))
