from datetime import UTC, datetime, timedelta
from fractions import Fraction
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.verification.domain.budget import (
    CHANCE_OF_ONE,
    HIGHEST_CHANCE_A_DAY,
    Budget,
    Family,
    Spent,
    UnsafeBudget,
    chance_of,
    family_of,
    fits,
    form_for,
    guess_chance_a_day,
    level_at,
    prices_of,
    refuse_unsafe,
    tried_on,
    wait_after,
    wait_until_fits,
    weight_of,
)

BUDGET = Budget(capacity=10, per_day=20, consecutive=50)
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("level", "allowed"), [(0.0, True), (9.0, True), (9.01, False), (10, False)]
)
def test_allows_a_guess_only_where_it_fits_whole(level: float, allowed: bool) -> None:
    assert fits(level, 1, BUDGET) is allowed


@pytest.mark.security("S2")
@pytest.mark.parametrize(
    ("factor", "digits", "weight"),
    [
        ("totp", 6, 1),
        ("totp", 8, 1),
        ("hotp", 6, 4),
        ("hotp", 7, 1),
        ("hotp", 8, 1),
        ("pin", 6, 1),
        ("pin", 10, 1),
        ("recovery_code", None, 1),
    ],
)
def test_a_guess_costs_more_where_it_may_hit_more_codes(
    factor: str, digits: int | None, weight: int
) -> None:
    assert weight_of(factor, digits) == weight
    assert chance_of(factor, digits) <= weight * CHANCE_OF_ONE


def test_a_look_ahead_of_eleven_codes_is_what_four_guesses_of_three_cost() -> None:
    assert chance_of("hotp", 6) == Fraction(11, 10**6)
    assert chance_of("totp", 6) == CHANCE_OF_ONE


def test_a_guess_at_a_pin_hits_one_and_at_recovery_codes_a_whole_set() -> None:
    assert chance_of("pin", 6) == Fraction(1, 10**6)
    assert chance_of("recovery_code", None) == Fraction(32, 32**10)


@pytest.mark.security("S2")
def test_a_guess_costs_as_much_as_all_that_it_is_tried_on() -> None:
    ids = [uuid4() for _ in range(5)]
    factors = [("totp", 6), ("hotp", 6), ("pin", 6), ("hotp", 8), ("recovery_code", None)]

    prices = prices_of([(one, *of) for one, of in zip(ids, factors, strict=True)])

    assert {on: prices[on] for on in ("6", "8", "r")} == {"6": 6, "8": 1, "r": 1}
    assert [prices[one.hex] for one in ids] == [1, 4, 1, 1, 1]


@pytest.mark.parametrize(
    ("code", "form"), [("123456", "6"), ("1234567890", "10"), ("ABCDE-FGHJK", "r")]
)
def test_a_guess_is_tried_on_what_has_codes_of_its_form_or_is_named(code: str, form: str) -> None:
    named = uuid4()

    assert tried_on(code, None) == form
    assert tried_on(code, named) == named.hex


AUTHENTICATORS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["totp", "hotp"]), st.integers(6, 8)),
        st.tuples(st.just("pin"), st.integers(6, 10)),
        st.just(("recovery_code", None)),
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.security("S2")
@given(
    enrolled=AUTHENTICATORS,
    guesses=st.lists(st.tuples(st.integers(0, 86_400), st.integers(0, 9)), max_size=100),
)
def test_no_day_of_blind_guesses_on_whatever_is_more_likely_than_promised(
    enrolled: list[tuple[str, int | None]], guesses: list[tuple[int, int]]
) -> None:
    known = [(UUID(int=n), of[0], of[1]) for n, of in enumerate(enrolled, start=1)]
    prices = prices_of(known)
    spent, chance = Spent(0.0, NOW), Fraction(0)
    for second, aim in sorted(guesses):
        at = NOW + timedelta(seconds=second)
        on = list(prices)[aim % len(prices)]
        level = level_at(spent, at, BUDGET)
        if fits(level, prices[on], BUDGET):
            spent = Spent(level + prices[on], at)
            for one, factor, digits in known:
                if on in (one.hex, form_for(digits)):
                    chance += chance_of(factor, digits)

    assert chance <= guess_chance_a_day(BUDGET) <= HIGHEST_CHANCE_A_DAY


@pytest.mark.security("S2")
@given(enrolled=AUTHENTICATORS)
def test_whoever_uses_every_guess_of_every_family_stays_below_the_promise(
    enrolled: list[tuple[str, int | None]],
) -> None:
    known = [(UUID(int=n), of[0], of[1]) for n, of in enumerate(enrolled, start=1)]
    prices = prices_of(known)
    families = {one.hex: family_of(factor) for one, factor, _ in known}
    families |= {form_for(digits): family_of(factor) for _, factor, digits in known}
    spent: dict[Family, Spent] = {}
    chance = Fraction(0)
    # A day in steps of ten minutes: after each, whatever fits is tried, the heaviest first.
    for at in (NOW + timedelta(minutes=minute) for minute in range(0, 24 * 60, 10)):
        for on in sorted(prices, key=lambda aim: -prices[aim]):
            family = families[on]
            level = level_at(spent.get(family, Spent(0.0, NOW)), at, BUDGET)
            while fits(level, prices[on], BUDGET):
                level += prices[on]
                spent[family] = Spent(level, at)
                for one, factor, digits in known:
                    if on in (one.hex, form_for(digits)):
                        chance += chance_of(factor, digits)

    assert chance <= guess_chance_a_day(BUDGET) <= HIGHEST_CHANCE_A_DAY


@given(failures=st.integers(0, 200))
def test_a_further_failure_never_shortens_the_wait(failures: int) -> None:
    waits = wait_after(failures, BUDGET)

    assert waits <= wait_after(failures + 1, BUDGET) <= max(timedelta(seconds=30), 2 * waits)
    assert waits <= timedelta(hours=1)


def test_empties_with_time_and_never_below_nothing() -> None:
    spent = Spent(10.0, NOW)

    assert level_at(spent, NOW + timedelta(hours=12), BUDGET) == pytest.approx(0.0)
    assert level_at(spent, NOW + timedelta(hours=6), BUDGET) == pytest.approx(5.0)
    assert level_at(spent, NOW + timedelta(days=9), BUDGET) == 0.0


def test_a_clock_that_went_back_empties_nothing() -> None:
    assert level_at(Spent(10.0, NOW), NOW - timedelta(hours=1), BUDGET) == 10.0


def test_says_how_long_to_wait() -> None:
    assert wait_until_fits(10.0, 1, BUDGET) == timedelta(days=1) / 20
    assert wait_until_fits(3.0, 1, BUDGET) == timedelta(0)


@given(times=st.lists(st.floats(min_value=0, max_value=3 * 86_400), max_size=200))
def test_no_24_hours_ever_see_more_than_the_promise(times: list[float]) -> None:
    spent, made = Spent(0.0, NOW), []
    for second in sorted(times):
        at = NOW + timedelta(seconds=second)
        level = level_at(spent, at, BUDGET)
        if fits(level, 1, BUDGET):
            spent = Spent(level + 1, at)
            made.append(second)

    for first in made:
        assert sum(first <= second <= first + 86_400 for second in made) <= BUDGET.most_a_day


@pytest.mark.security("S2")
@pytest.mark.standard("NIST 800-63B-4 3.2.2")
@pytest.mark.parametrize(
    ("budget", "safe"),
    [
        (BUDGET, True),
        (Budget(capacity=10, per_day=20, consecutive=50), True),
        (Budget(capacity=10, per_day=21, consecutive=50), False),
        (Budget(capacity=10, per_day=20, consecutive=100), True),
        (Budget(capacity=10, per_day=20, consecutive=101), False),
        (Budget(capacity=5, per_day=20, consecutive=50), True),
        (Budget(capacity=4, per_day=20, consecutive=50), False),
        (Budget(capacity=10, per_day=0, consecutive=50), False),
    ],
)
def test_start_refuses_a_budget_that_breaks_the_promise(budget: Budget, safe: bool) -> None:
    if safe:
        refuse_unsafe(budget)
        assert guess_chance_a_day(budget) <= HIGHEST_CHANCE_A_DAY
        return
    with pytest.raises(UnsafeBudget):
        refuse_unsafe(budget)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (4, 0), (5, 30), (6, 60), (7, 120), (11, 1920), (12, 3600), (13, 3600), (100, 3600)],
)
def test_waits_grow_from_half_a_minute_to_an_hour(failures: int, seconds: int) -> None:
    assert wait_after(failures, BUDGET) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("factor", "family"),
    [
        ("totp", Family.CODES),
        ("hotp", Family.CODES),
        ("pin", Family.CODES),
        ("recovery_code", Family.RECOVERY),
        ("passkey", Family.PASSKEYS),
        ("push", Family.PUSH),
    ],
)
def test_factors_share_a_budget_only_with_their_kind(factor: str, family: Family) -> None:
    assert family_of(factor) is family
