import pytest

from contracts.vocabulary import Service
from tests.integration.internal_matrix import (
    FORGERIES,
    assert_body_is_bound,
    assert_only_listed_callers,
    assert_refused,
    assert_taken_once,
)
from tests.integration.policy.bench import Bench

pytestmark = pytest.mark.security("S12")


async def test_lets_in_the_listed_services_and_nobody_else(bench: Bench) -> None:
    await assert_only_listed_callers(bench.listeners.internal, Service.POLICY, bench.identities)


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_refuses_a_forged_token(bench: Bench, forgery: str) -> None:
    app = bench.listeners.internal

    await assert_refused(app, Service.POLICY, bench.identities, forgery=forgery)


async def test_takes_a_token_once(bench: Bench) -> None:
    await assert_taken_once(bench.listeners.internal, Service.POLICY, bench.identities)


async def test_refuses_a_body_that_was_changed_under_way(bench: Bench) -> None:
    await assert_body_is_bound(bench.listeners.internal, Service.POLICY, bench.identities)
