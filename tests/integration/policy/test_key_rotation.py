"""Replacing keys: people are found and read as before, and an import that waits goes on."""

import pytest

from libs.sealing.data_keys import DataKeys
from libs.sealing.rotation_store import Kind
from libs.sealing.trouble import KeyRetired
from services.policy.use_cases.personal import SUBJECT
from services.policy.use_cases.sealed import SEALED
from tests.fixtures.rotating import (
    ask,
    rotation_of,
    rows_behind,
    unlisted_columns,
    with_small_portions,
    work_through,
)
from tests.integration.policy.bench import Bench, Tenant
from tests.integration.policy.importing import Sender, work


async def test_every_column_of_bytes_says_what_it_is(bench: Bench) -> None:
    async with bench.owner.acquire() as behind:
        assert await unlisted_columns(behind, "policy", SEALED) == []


@pytest.mark.fault("R29")
async def test_people_and_waiting_imports_are_read_under_new_keys(
    bench: Bench, tenant: Tenant
) -> None:
    sender = Sender(bench, tenant)
    people = "".join(f"p{n},p{n}@example.org\n" for n in range(7))
    await sender.done(f"subject,email\n{people}")
    waiting = await sender.sent("subject,email\na,a@example.org\n", "b,b@example.org\n")
    before = await sender.subjects()
    async with bench.owner.acquire() as behind:
        await ask(behind, Kind.DATA, SEALED.purposes, tenant.tenant_id)

        await work_through(rotation_of(bench.plumbing, with_small_portions(SEALED)))
        await bench.plumbing.data_keys.close()

        assert await rows_behind(behind, SEALED, tenant.tenant_id) == 0
    fresh = DataKeys(bench.plumbing.app_pool, bench.plumbing.key_provider)
    with pytest.raises(KeyRetired):
        await fresh.version(tenant=tenant.tenant_id, purpose=SUBJECT, version=1)
    assert await sender.subjects() == before
    found = await tenant.api("POST", "/v1/subjects/search", {"subject": "p3"})
    assert found.status_code == 200
    await work(bench)
    assert (await sender.shown(waiting))["counts"]["created"] == 2
    assert len(await sender.subjects()) == len(before) + 2
