from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from contracts.internal import CLAIM_CONTACT
from contracts.roles import SCOPES, Right, Role, rights_of
from contracts.vocabulary import Factor, Scope
from libs.postgres.pool import tenant_transaction
from libs.sealing.letter import LetterBox
from libs.sealing.rotation_store import Kind
from services.policy.use_cases.calendar import Calendar
from services.policy.use_cases.part_seals import PART
from services.policy.use_cases.personal import SUBJECT
from tests.fixtures.rotating import ask
from tests.integration.internal_matrix import routes_of
from tests.integration.policy.bench import Api, Bench, Tenant
from tests.integration.policy.importing import Sender, importing
from tests.integration.policy.people import a_person, two_owners
from tests.integration.policy.surveying import has, logged_in

pytestmark = pytest.mark.security("S6")

_BODIES: dict[str, object] = {
    "POST /v1/tenants": {"name": "A university"},
    "POST /v1/applications": {"name": "Mail"},
    "POST /v1/applications/{application_id}/keys": {},
    "PUT /v1/applications/{application_id}/passkeys": {
        "rp_id": "localhost",
        "origins": ["https://localhost"],
    },
    "PUT /v1/policies/{application_id}": {"requirement": "off", "factors": []},
    "POST /v1/subjects": {"subject": "anna"},
    "POST /v1/subjects/search": {"subject": "anna"},
    "PATCH /v1/subjects/{subject_ref}": {"language": "nl"},
    "POST /v1/rules/comparison": {"rules": {"rules": []}},
    "POST /v1/rules": {"rules": {"rules": []}, "reason": "To begin with"},
    "POST /v1/rules/simulation": {"rules": {"rules": []}},
    "POST /v1/rules/simulation/people": {"meet": "deny"},
    "POST /v1/rules/{version}/publication": {"replaces": None, "reason": "To begin with"},
    "POST /v1/subjects/logins": {"email": "anna@example.org"},
    "POST /v1/imports": {"format": "csv", "dry_run": False},
    "PUT /v1/settings": {"four_eyes": False},
    "PUT /v1/settings/mailboxes": {"then": "refuse"},
}
# Routes for which managing is not enough, or not needed.
_OTHER_RIGHTS: dict[str, Right] = {
    "POST /v1/rules/simulation": Right.READ,
    "POST /v1/rules/simulation/people": Right.READ,
    "GET /v1/coverage": Right.READ,
    "POST /v1/subjects/logins": Right.SUPPORT,
    "GET /v1/applications": Right.READ,
    "GET /v1/applications/{application_id}": Right.READ,
    "GET /v1/policies/{application_id}": Right.READ,
    "PUT /v1/policies/{application_id}": Right.OWN,
    "GET /v1/rules": Right.READ,
    "GET /v1/rules/{version}": Right.READ,
    "GET /v1/rules/{version}/changes": Right.READ,
    "POST /v1/rules/{version}/publication": Right.OWN,
    "POST /v1/subjects/search": Right.SUPPORT,
    "GET /v1/subjects/{subject_ref}": Right.SUPPORT,
    "GET /v1/settings": Right.READ,
    "PUT /v1/settings": Right.OWN,
    "GET /v1/settings/mailboxes": Right.READ,
    "PUT /v1/settings/mailboxes": Right.OWN,
    "GET /v1/proposals": Right.READ,
    "GET /v1/proposals/{proposal_id}": Right.READ,
    "POST /v1/proposals/{proposal_id}/approval": Right.OWN,
    "DELETE /v1/proposals/{proposal_id}": Right.OWN,
}
_OPERATOR = "POST /v1/tenants"
_OWNED = (
    "tenant",
    "application",
    "application_key",
    "policy_version",
    "subject",
    "contact_claim",
    "rules_version",
    "rules_publication",
    "enforcement_said",
    "enrolled",
    "subject_import",
    "import_part",
    "import_mark",
    "import_row",
    "proposal",
)


def _routes(bench: Bench) -> Iterator[tuple[str, str]]:
    for route in routes_of(bench.listeners.public):
        for method in route.methods or ():
            yield method, route.path


async def test_every_route_is_documented(bench: Bench) -> None:
    documented = {
        (method.upper(), path)
        for path, methods in bench.listeners.public.openapi()["paths"].items()
        for method in methods
    }

    assert documented == set(_routes(bench))
    assert len(documented) >= 26


async def test_every_route_wants_a_key(bench: Bench) -> None:
    for key in ("", "ww_test_noise", "ww_live_" + "0" * 71):
        for method, path in _routes(bench):
            response = await Api(bench.http, key)(method, _filled(path), _body(method, path))

            assert response.status_code == 401, (method, path)


@pytest.mark.requirement("C1")
async def test_every_route_wants_its_right(bench: Bench, tenant: Tenant) -> None:
    keys = [
        *[(rights_of(Role.APPLICATION, [one]), await _key_with_only(tenant, one)) for one in Scope],
        *[(rights_of(one, SCOPES[one]), (await a_person(tenant, one)).api) for one in SCOPES],
    ]
    for method, path in _routes(bench):
        wanted = _OTHER_RIGHTS.get(f"{method} {path}", Scope.MANAGE)
        for rights, api in keys:
            response = await api(method, _filled(path), _body(method, path))

            if f"{method} {path}" == _OPERATOR:
                assert response.status_code == 401, (method, path, rights)
            elif wanted in rights:
                assert response.status_code in (200, 201, 404, 409), (method, path, rights)
            else:
                assert response.status_code == 403, (method, path, rights)
                assert response.json()["detail"] == wanted


async def test_every_id_of_another_tenant_is_unknown(bench: Bench, tenant: Tenant) -> None:
    other = await bench.new_tenant()
    there = await other.api("POST", "/v1/applications", {"name": "Mail", "scopes": ["manage"]})
    subject = await other.api("POST", "/v1/subjects", {"subject": "anna"})
    rules = await other.api("POST", "/v1/rules", _BODIES["POST /v1/rules"])
    made = await other.api("POST", "/v1/imports", _BODIES["POST /v1/imports"])
    ids = {
        "import_id": made.json()["import_id"],
        "number": 1,
        "version": rules.json()["version"],
        "application_id": there.json()["application_id"],
        "key_id": there.json()["key_id"],
        "subject_ref": subject.json()["subject_ref"],
        "proposal_id": await _proposed(other),
    }
    before = await _state_of(other)

    tried = 0
    for method, path in _routes(bench):
        if "{" in path:
            response = await tenant.api(method, path.format(**ids), _body(method, path))
            assert response.status_code == 404, (method, path)
            assert response.json()["code"] == "not_found"
            tried += 1

    assert tried >= 11
    assert await _state_of(other) == before


async def test_lists_and_searches_show_the_own_tenant_only(bench: Bench, tenant: Tenant) -> None:
    other = await bench.new_tenant()
    body = {"subject": "anna"}
    theirs = (await other.api("POST", "/v1/subjects", body)).json()["subject_ref"]

    assert (await tenant.api("POST", "/v1/subjects/search", body)).status_code == 404
    assert (await tenant.api("GET", "/v1/subjects")).json()["subjects"] == []
    mine = await tenant.api("POST", "/v1/subjects", body)
    assert (mine.status_code, mine.json()["subject_ref"] == theirs) == (201, False)


async def test_the_app_role_sees_nothing_without_a_tenant(bench: Bench, tenant: Tenant) -> None:
    made = await tenant.api("POST", "/v1/subjects", {"subject": "anna"})
    anna = UUID(made.json()["subject_ref"])
    await has(bench, tenant, anna, Factor.TOTP)
    await logged_in(bench, tenant, anna, tenant.application_id, Factor.TOTP, 1)
    await _claim_contact(bench, tenant, made.json()["subject_ref"])
    soon = (datetime.now(UTC) + timedelta(days=1)).replace(tzinfo=None).isoformat()
    rule = {"name": "all", "requirement": "required", "factors": ["totp"], "starts": soon}
    written = {"rules": {"rules": [rule]}, "reason": "To begin with"}
    await tenant.api("POST", "/v1/rules", written)
    publication = {"replaces": None, "reason": "To begin with"}
    await tenant.api("POST", "/v1/rules/1/publication", publication)
    await _proposed(tenant)
    pools = (bench.plumbing.app_pool, bench.plumbing.worker_pool)
    await Calendar(*pools, bench.plumbing.clock).look()
    await _import_halfway(bench, tenant)
    await _keys_replaced(bench, tenant)
    tables = await bench.owner.fetch(
        "SELECT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'policy'::regnamespace AND c.relkind = 'r'"
        " AND a.attname = 'tenant_id'"
    )
    names = {row["name"] for row in tables}
    assert names >= set(_OWNED)

    for name in sorted(names - {"parked", "inbox"}):
        count = f"SELECT count(*) FROM {name}"
        assert await bench.plumbing.app_pool.fetchval(count) == 0, name
        if name != "replica":
            async with tenant_transaction(bench.plumbing.app_pool, tenant.tenant_id) as tx:
                assert await tx.fetchval(count) > 0, name


async def _keys_replaced(bench: Bench, tenant: Tenant) -> None:
    await ask(bench.owner, Kind.DATA, [SUBJECT], tenant.tenant_id)
    async with tenant_transaction(bench.plumbing.app_pool, tenant.tenant_id) as tx:
        await tx.execute("UPDATE data_key SET version = 9 WHERE purpose = $1", PART)
        await tx.execute("DELETE FROM data_key WHERE version = 9")


async def test_the_worker_role_cannot_read_what_policy_owns(bench: Bench) -> None:
    for table in _OWNED:
        allowed = await bench.owner.fetchval(
            "SELECT has_table_privilege('policy_worker', $1, 'SELECT')", f"policy.{table}"
        )
        assert not allowed, table


def _filled(path: str) -> str:
    ids = ("application_id", "key_id", "subject_ref", "import_id", "proposal_id")
    return path.format(**{name: uuid4() for name in ids}, version=9, number=1)


def _body(method: str, path: str) -> object:
    # A route that takes a body and has none here fails these tests with 422.
    return _BODIES.get(f"{method} {path}")


async def _key_with_only(tenant: Tenant, scope: Scope) -> Api:
    body = {"name": "Mail", "scopes": [scope]}
    made = (await tenant.api("POST", "/v1/applications", body)).json()
    return Api(tenant.api.http, made["key"])


async def _proposed(tenant: Tenant) -> str:
    anna, _ = await two_owners(tenant)
    waiting = await anna.api("PUT", "/v1/settings", {"four_eyes": False})
    proposal_id: str = waiting.json()["proposal_id"]
    return proposal_id


async def _claim_contact(bench: Bench, tenant: Tenant, subject_ref: str) -> None:
    body = {
        "tenant": str(tenant.tenant_id),
        "subject_ref": subject_ref,
        "caused_by": str(uuid4()),
        "attempt_id": str(uuid4()),
        "public_key": LetterBox().public_key,
    }
    assert (await bench.call(CLAIM_CONTACT, body)).status_code == 200


async def _import_halfway(bench: Bench, tenant: Tenant) -> None:
    await Sender(bench, tenant).sent("subject\nbob\ncarl\n")
    await importing(bench, rows_at_once=1).round()


async def _state_of(tenant: Tenant) -> list[object]:
    places = ("applications", "subjects", "proposals", "settings", "settings/mailboxes")
    return [(await tenant.api("GET", f"/v1/{place}")).json() for place in places]
