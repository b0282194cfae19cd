"""Attacks on publication, through the public API."""

import asyncio
from time import monotonic
from typing import Any
from zoneinfo import available_timezones

import asyncpg
import pytest

from services.policy.domain import zones
from services.policy.store import rules as store
from tests.integration.policy.bench import Bench, Tenant
from tests.integration.policy.test_rules import _ALL, _OFF, _published, _written


async def test_what_is_compared_with_is_what_is_named(
    bench: Bench, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _written(tenant, _OFF)
    await _written(tenant, _OFF, _ALL)
    await _published(tenant, 1, None)
    last_publication, asked = store.last_publication, 0

    async def slowly(*place: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 2:
            with monkeypatch.context() as others:
                others.setattr(store, "last_publication", last_publication)
                assert (await _published(tenant, 2, 1)).status_code == 200
        return await last_publication(*place)

    monkeypatch.setattr(store, "last_publication", slowly)
    body = {"rules": {"time_zone": "Europe/Amsterdam", "rules": [_OFF]}}
    compared = (await tenant.api("POST", "/v1/rules/comparison", body)).json()

    # Nothing changes against version 1; against version 2, which it names, "all" is removed.
    assert compared != {"changes": [], "in_force": 2}


_IS_LOCKED = """
SELECT NOT EXISTS (SELECT FROM tenant WHERE tenant_id = $1 FOR NO KEY UPDATE SKIP LOCKED)
"""


async def test_a_publication_for_many_applications_keeps_nobody_waiting(
    bench: Bench, tenant: Tenant
) -> None:
    for n in range(500):
        made = await tenant.api("POST", "/v1/applications", {"name": f"Application {n}"})
        assert made.status_code == 201, made.text
    groups = [f"{n:02x}" for n in range(46)]
    many = [_OFF | {"name": f"r{n}", "match": {"groups": groups}} for n in range(190)]
    written = await _written(tenant, *many)
    assert written.status_code == 201, written.text

    began = monotonic()
    publishing = asyncio.create_task(_published(tenant, 1, None))
    while not await bench.owner.fetchval(_IS_LOCKED, tenant.tenant_id):
        assert not publishing.done()
    asked = monotonic()
    subject = {"subject": "anna@example.org", "label": "Anna"}
    made = await tenant.api("POST", "/v1/subjects", subject)
    waited, meanwhile = monotonic() - asked, not publishing.done()
    published = await publishing
    size = await bench.owner.fetchval(
        "SELECT sum(length(payload)) FROM outbox WHERE tenant_id = $1 AND type = 'mfa.policy'",
        tenant.tenant_id,
    )
    took = monotonic() - began
    words = f"{waited:.1f} s waited, {took:.1f} s for the publication, {size} bytes in the outbox"
    assert published.status_code == 200, words
    assert (made.status_code, meanwhile, waited < 1) == (201, True, True), words


_AS_THE_RELEASE_BEFORE_WROTE = """
INSERT INTO policy_version
    (tenant_id, application_id, version, requirement, factors, changed_by, created)
SELECT tenant_id, application_id, version + 1, 'off', '{}', changed_by, now()
FROM policy_version WHERE tenant_id = $1 AND application_id = $2 ORDER BY version DESC LIMIT 1
"""
_WITHOUT_RULES = _AS_THE_RELEASE_BEFORE_WROTE.replace(", created)", ", created, rules)").replace(
    "now()", "now(), '[]'"
)


async def test_a_node_of_the_release_before_cannot_take_an_application_out_of_the_rules(
    bench: Bench, tenant: Tenant
) -> None:
    await _written(tenant, _ALL)
    await _published(tenant, 1, None)

    with pytest.raises(asyncpg.NotNullViolationError):
        await bench.owner.execute(
            _AS_THE_RELEASE_BEFORE_WROTE, tenant.tenant_id, tenant.application_id
        )

    assert await _newest(bench, tenant) == 1


async def test_publishing_again_mends_an_application_without_the_rules(
    bench: Bench, tenant: Tenant
) -> None:
    await _written(tenant, _ALL)
    await _published(tenant, 1, None)
    await bench.owner.execute(_WITHOUT_RULES, tenant.tenant_id, tenant.application_id)
    other = (await tenant.api("POST", "/v1/applications", {"name": "Mail"})).json()
    before = await bench.announced(tenant.tenant_id)

    assert (await _published(tenant, 1, 1)).status_code == 200

    assert await _newest(bench, tenant) == 1
    known = {event.id for _, event in before}
    said = [event for _, event in await bench.announced(tenant.tenant_id) if event.id not in known]
    assert sorted(event.type for event in said) == ["mfa.policy", "mfa.policy_changed"]
    assert not [event for event in said if other["application_id"] in event.key]


async def _newest(bench: Bench, tenant: Tenant) -> int | None:
    """Return of which version of the rules an application's policy is."""
    version: int | None = await bench.owner.fetchval(
        "SELECT rules_version FROM policy_version WHERE tenant_id = $1 AND application_id = $2"
        " ORDER BY version DESC LIMIT 1",
        tenant.tenant_id,
        tenant.application_id,
    )
    return version


async def test_a_page_of_versions_reads_the_time_zones_once(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        await _written(tenant, _ALL)
    looked = 0

    def looks() -> set[str]:
        nonlocal looked
        looked += 1
        return available_timezones()

    monkeypatch.setattr(zones, "available_timezones", looks)

    assert (await tenant.api("GET", "/v1/rules")).status_code == 200

    assert looked <= 1
