"""Answers go in portions, and only those that nobody may ask for any more."""

from datetime import timedelta

from services.verification.settle import ANSWERS_KEPT
from services.verification.store.answers import delete_answers
from tests.integration.verification.conftest import World

_MANY = 12_000
_WRITE = """
INSERT INTO answer SELECT gen_random_uuid(), gen_random_uuid(), int4send(n), '', gen_random_uuid(),
    gen_random_uuid(), 'totp', now() - $1::interval FROM generate_series(1, $2::int) n
"""


async def test_old_answers_go_in_portions_and_young_ones_stay(world: World) -> None:
    young = ANSWERS_KEPT - timedelta(seconds=30)
    for age, count in ((ANSWERS_KEPT + timedelta(seconds=1), _MANY), (young, 3)):
        await world.rows(_WRITE, age, count)

    deleted = []
    while count := await delete_answers(world.plumbing.worker_pool, ANSWERS_KEPT):
        deleted.append(count)

    assert sum(deleted) >= _MANY
    assert max(deleted) <= 5_000
    [left] = await world.rows(
        "SELECT count(*) AS n FROM answer WHERE at > now() - $1::interval", young * 2
    )
    assert left["n"] == 3
