"""The logins of one e-mail address."""

import pytest

from contracts.roles import Right, Role, rights_of
from contracts.vocabulary import Scope
from libs.service.apps import public_app
from libs.web.api_keys import KeyParts
from libs.web.callers import Caller
from services.policy.api.logins import login_routes
from services.policy.app import directory_of
from services.policy.use_cases.logins import Logins
from services.policy.use_cases.personal import PersonalSeals
from tests.integration.policy.bench import Api, Bench, Tenant, client_of
from tests.integration.policy.importing import Sender

pytestmark = [pytest.mark.requirement("C4"), pytest.mark.requirement("C5")]

_PATH = "/v1/subjects/logins"


async def _logins(tenant: Tenant, email: str) -> list[str]:
    answer = await tenant.api("POST", _PATH, {"email": email})
    assert answer.status_code == 200, answer.text
    return [one["subject"] for one in answer.json()["logins"]]


async def _make(tenant: Tenant, subject: str, email: str | None) -> str:
    made = await tenant.api("POST", "/v1/subjects", {"subject": subject, "email": email})
    assert made.status_code == 201, made.text
    path: str = f"/v1/subjects/{made.json()['subject_ref']}"
    return path


async def test_all_logins_of_an_address_are_found_however_it_is_written(tenant: Tenant) -> None:
    await _make(tenant, "anna-1", "Anna@Bücher.example")
    await _make(tenant, "anna-2", "anna@xn--bcher-kva.example")
    await _make(tenant, "bob", "bob@example.org")
    await _make(tenant, "carl", None)

    assert await _logins(tenant, "ANNA@bücher.EXAMPLE") == ["anna-1", "anna-2"]
    assert await _logins(tenant, "bob@example.org") == ["bob"]
    assert await _logins(tenant, "nobody@example.org") == []


async def test_a_login_is_found_by_the_address_that_it_has_now(tenant: Tenant) -> None:
    path = await _make(tenant, "anna", "old@example.org")
    await tenant.api("PATCH", path, {"email": "new@example.org"})
    assert await _logins(tenant, "old@example.org") == []
    assert await _logins(tenant, "new@example.org") == ["anna"]

    await tenant.api("PATCH", path, {"email": None})
    assert await _logins(tenant, "new@example.org") == []
    await tenant.api("PATCH", path, {"email": "new@example.org"})
    await tenant.api("DELETE", path)

    assert await _logins(tenant, "new@example.org") == []


async def test_another_tenants_logins_are_not_found(bench: Bench, tenant: Tenant) -> None:
    other = await bench.new_tenant()
    await _make(other, "anna", "anna@example.org")

    assert await _logins(tenant, "anna@example.org") == []


async def test_a_hundred_are_shown_and_more_are_not_concealed(bench: Bench, tenant: Tenant) -> None:
    rows = "".join(f"p{n},post@example.org\n" for n in range(101))
    await Sender(bench, tenant).done("subject,email\n" + rows)

    many = (await tenant.api("POST", _PATH, {"email": "post@example.org"})).json()
    await tenant.api("DELETE", f"/v1/subjects/{many['logins'][0]['subject_ref']}")
    enough = (await tenant.api("POST", _PATH, {"email": "post@example.org"})).json()

    assert (len(many["logins"]), many["complete"]) == (100, False)
    assert (len(enough["logins"]), enough["complete"]) == (100, True)


async def test_subjects_from_before_are_found_once_the_worker_has_seen_them(
    bench: Bench, tenant: Tenant
) -> None:
    path = await _make(tenant, "anna", "anna@example.org")
    await _make(tenant, "bob", None)
    await _as_an_earlier_release_left_them(bench, tenant)
    before = (await tenant.api("POST", _PATH, {"email": "anna@example.org"})).json()

    await directory_of(bench.plumbing).digest()

    after = (await tenant.api("POST", _PATH, {"email": "anna@example.org"})).json()
    assert (before["logins"], before["complete"]) == ([], False)
    assert ([one["subject"] for one in after["logins"]], after["complete"]) == (["anna"], True)
    assert (await tenant.api("GET", path)).json()["version"] == 1


async def test_what_an_earlier_release_changes_meanwhile_is_noticed(
    bench: Bench, tenant: Tenant
) -> None:
    path = await _make(tenant, "anna", "old@example.org")
    stale = await bench.owner.fetchrow(
        "SELECT email_digest, digested FROM subject WHERE tenant_id = $1", tenant.tenant_id
    )
    assert stale is not None
    await tenant.api("PATCH", path, {"email": "new@example.org"})
    await bench.owner.execute(
        "UPDATE subject SET email_digest = $2, digested = $3 WHERE tenant_id = $1",
        *(tenant.tenant_id, stale["email_digest"], stale["digested"]),
    )

    assert await _logins(tenant, "old@example.org") == []
    await directory_of(bench.plumbing).digest()

    assert await _logins(tenant, "new@example.org") == ["anna"]


async def test_a_subject_that_cannot_be_opened_does_not_keep_the_others_waiting(
    bench: Bench, tenant: Tenant
) -> None:
    await _make(tenant, "anna", "anna@example.org")
    bad = (await _make(tenant, "bob", "bob@example.org")).rpartition("/")[2]
    await _as_an_earlier_release_left_them(bench, tenant)
    await bench.owner.execute(
        "UPDATE subject SET sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1)"
        " WHERE subject_ref = $1",
        bad,
    )

    await directory_of(bench.plumbing).digest()

    assert await _logins(tenant, "anna@example.org") == ["anna"]


@pytest.mark.parametrize("email", ["anna", "a b@example.org", "", None, 7])
async def test_refuses_what_is_no_address_without_repeating_it(
    tenant: Tenant, email: object
) -> None:
    answer = await tenant.api("POST", _PATH, {"email": email})

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed_request")
    assert "a b@" not in answer.text


@pytest.mark.security("S6")
@pytest.mark.parametrize(
    ("rights", "status"),
    [
        (rights_of(Role.SERVICE_DESK, ()), 200),
        (rights_of(Role.APPLICATION, (Scope.MANAGE,)), 200),
        (rights_of(Role.AUDITOR, ()), 403),
        (rights_of(Role.APPLICATION, (Scope.VERIFY, Scope.ENROLL)), 403),
        (frozenset({Right.OWN}), 403),
    ],
)
async def test_whoever_helps_people_may_look(
    bench: Bench, tenant: Tenant, rights: frozenset[str], status: int
) -> None:
    async def find(parts: KeyParts) -> Caller | None:
        about = parts.application_id
        return Caller(tenant.tenant_id, about, about, mode="live", scopes=rights)

    logins = Logins(bench.plumbing.app_pool, PersonalSeals(bench.plumbing.data_keys))
    app = public_app("policy", title="Logins", routers=[login_routes(logins, find)])
    async with client_of(app) as http:
        answer = await Api(http, tenant.api.key)("POST", _PATH, {"email": "anna@example.org"})

    assert answer.status_code == status


async def _as_an_earlier_release_left_them(bench: Bench, tenant: Tenant) -> None:
    await bench.owner.execute(
        "UPDATE subject SET email_digest = NULL, digested = 0 WHERE tenant_id = $1",
        tenant.tenant_id,
    )
