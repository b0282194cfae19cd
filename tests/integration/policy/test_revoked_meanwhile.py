"""Whose key is revoked while a request waits for the tenant acts no more."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from contracts.roles import Role
from tests.integration.policy.bench import Bench, Tenant
from tests.integration.policy.people import Person, a_person, a_subject, key_path, two_owners
from tests.integration.policy.test_rules import _ALL, _written

pytestmark = pytest.mark.requirement("C1")
_REVOKE = "UPDATE application_key SET revoked = true, revoked_at = now() WHERE key_id = $1"
_WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
_ACTS = [
    "an owner's key",
    "an application",
    "passkeys",
    "rules",
    "a publication",
    "a policy",
    "settings",
    "mailboxes",
    "a refusal",
    "a revocation",
    "a deletion",
    "an import",
]


async def _acts(tenant: Tenant, anna: Person) -> Mapping[str, tuple[str, str, Any]]:
    bert = await a_person(tenant, Role.ADMINISTRATOR)
    waiting = (await anna.api("PUT", "/v1/settings", {"four_eyes": False})).json()
    strict = {"requirement": "required", "factors": ["totp"]}
    own = f"/v1/policies/{tenant.application_id}"
    keys = f"/v1/applications/{tenant.application_id}/keys"
    return {
        "an owner's key": ("POST", keys, {"role": "owner", "holder": anna.subject_ref}),
        "an application": ("POST", "/v1/applications", {"name": "Mail"}),
        "passkeys": (
            *("PUT", f"/v1/applications/{tenant.application_id}/passkeys"),
            {"rp_id": "localhost", "origins": ["https://localhost"]},
        ),
        "rules": ("POST", "/v1/rules", {"rules": {"rules": [_ALL]}, "reason": "It is time"}),
        "a publication": (
            *("POST", "/v1/rules/1/publication"),
            {"replaces": None, "reason": "It is time"},
        ),
        "a policy": ("PUT", own, strict),
        "settings": ("PUT", "/v1/settings", {"four_eyes": True}),
        "mailboxes": ("PUT", "/v1/settings/mailboxes", {"then": "refuse", "names": ["info*"]}),
        "a refusal": ("DELETE", f"/v1/proposals/{waiting['proposal_id']}", None),
        "a revocation": ("DELETE", key_path(tenant, bert.key_id), None),
        "an import": ("POST", "/v1/imports", {"format": "csv", "dry_run": False}),
        "a deletion": ("DELETE", f"/v1/subjects/{await a_subject(tenant)}", None),
    }


@pytest.mark.parametrize("act", _ACTS)
async def test_what_waited_for_the_revocation_of_its_own_key_is_not_done(
    bench: Bench, tenant: Tenant, act: str
) -> None:
    await _written(tenant, _ALL)
    anna, _ = await two_owners(tenant)
    method, path, body = (await _acts(tenant, anna))[act]
    said = len(await bench.announced(tenant.tenant_id))

    async with bench.owner.acquire() as connection:
        async with connection.transaction():
            await connection.execute(
                "SELECT FROM tenant WHERE tenant_id = $1 FOR NO KEY UPDATE", tenant.tenant_id
            )
            acting = asyncio.create_task(anna.api(method, path, body))
            while not await connection.fetchval(_WAITS):
                assert not acting.done()
            await connection.execute(_REVOKE, anna.key_id)
        answer = await acting

    assert (answer.status_code, answer.json().get("code")) == (401, "unauthenticated")
    assert len(await bench.announced(tenant.tenant_id)) == said
