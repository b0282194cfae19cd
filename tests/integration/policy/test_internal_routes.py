from uuid import uuid4

import httpx2
import pytest

from contracts.internal import (
    NAME_SUBJECTS,
    RESOLVE_SUBJECT,
    RESOLVE_SUBJECTS,
    InternalRoute,
    letter_place,
)
from libs.sealing.letter import LetterBox
from tests.integration.policy.bench import Bench, Tenant

_ANNA = {"subject": "anna", "email": "anna@example.org", "label": "Anna", "language": "nl"}


async def test_resolves_whom_an_application_means(bench: Bench, tenant: Tenant) -> None:
    made = (await tenant.api("POST", "/v1/subjects", _ANNA)).json()
    box = LetterBox()

    response = await _ask(bench, RESOLVE_SUBJECT, tenant, box=box, subject="anna")

    answer = response.json()
    assert (answer["subject_ref"], answer["language"]) == (made["subject_ref"], "nl")
    place = letter_place(RESOLVE_SUBJECT, tenant.tenant_id, "anna")
    assert box.open(answer["letter"], place=place) == {"label": "Anna"}
    assert "Anna" not in response.text


@pytest.mark.parametrize("subject", ["Anna", "anna ", "nobody", "", "an\x00na", "a" * 1000])
async def test_resolves_nobody_else(bench: Bench, tenant: Tenant, subject: str) -> None:
    await tenant.api("POST", "/v1/subjects", _ANNA)

    response = await _ask(bench, RESOLVE_SUBJECT, tenant, subject=subject)

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_makes_no_keys_for_a_tenant_that_there_is_not(bench: Bench) -> None:
    tenant = uuid4()
    body = {"tenant": str(tenant), "subject": "anna", "public_key": LetterBox().public_key}

    response = await bench.call(RESOLVE_SUBJECT, body)

    assert response.status_code == 404
    count = "SELECT count(*) FROM data_key WHERE tenant_id = $1"
    assert await bench.owner.fetchval(count, tenant) == 0


async def test_resolves_many_in_the_order_of_the_question(bench: Bench, tenant: Tenant) -> None:
    anna = (await tenant.api("POST", "/v1/subjects", _ANNA)).json()
    bob = (await tenant.api("POST", "/v1/subjects", {"subject": "bob"})).json()
    gone = (await tenant.api("POST", "/v1/subjects", {"subject": "gone"})).json()
    await tenant.api("DELETE", f"/v1/subjects/{gone['subject_ref']}")
    other = await bench.new_tenant()
    await other.api("POST", "/v1/subjects", {"subject": "theirs"})
    names = ["bob", "nobody", "anna", "gone", "Anna", "theirs", "bob", "an\x00na"]

    response = await _ask_many(bench, tenant, names)

    ours = (bob["subject_ref"], None, anna["subject_ref"])
    assert response.json() == {
        "subject_refs": [*ours, None, None, None, bob["subject_ref"], None],
    }


@pytest.mark.parametrize(("count", "status"), [(0, 200), (500, 200), (501, 422)])
async def test_resolves_at_most_500_at_once(
    bench: Bench, tenant: Tenant, count: int, status: int
) -> None:
    response = await _ask_many(bench, tenant, [f"p{n}" for n in range(count)])

    assert response.status_code == status


async def test_names_the_subjects_there_are(bench: Bench, tenant: Tenant) -> None:
    made = (await tenant.api("POST", "/v1/subjects", _ANNA)).json()
    other = await bench.new_tenant()
    theirs = (await other.api("POST", "/v1/subjects", _ANNA)).json()
    refs = [made["subject_ref"], theirs["subject_ref"], str(uuid4())]
    box = LetterBox()

    response = await _ask(bench, NAME_SUBJECTS, tenant, box=box, subject_refs=refs)

    place = letter_place(NAME_SUBJECTS, tenant.tenant_id)
    assert box.open(response.json()["letter"], place=place) == {
        "names": {made["subject_ref"]: "anna"}
    }


@pytest.mark.parametrize(("count", "status"), [(0, 200), (500, 200), (501, 422)])
async def test_names_at_most_500_at_once(
    bench: Bench, tenant: Tenant, count: int, status: int
) -> None:
    refs = [str(uuid4()) for _ in range(count)]

    response = await _ask(bench, NAME_SUBJECTS, tenant, subject_refs=refs)

    assert response.status_code == status


@pytest.mark.parametrize("public_key", ["", "noise", "AAAA", "A" * 43 + "="])
async def test_refuses_to_write_to_what_is_no_key(
    bench: Bench, tenant: Tenant, public_key: str
) -> None:
    await tenant.api("POST", "/v1/subjects", _ANNA)
    body = {"tenant": str(tenant.tenant_id), "subject": "anna", "public_key": public_key}

    response = await bench.call(RESOLVE_SUBJECT, body)

    assert response.status_code == 422


async def test_tells_that_it_is_well(bench: Bench) -> None:
    transport = httpx2.ASGITransport(bench.listeners.internal)
    async with httpx2.AsyncClient(transport=transport, base_url="http://internal") as http:
        ready = await http.get("/health/ready")
        metrics = await http.get("/metrics")

    assert (ready.status_code, ready.json()["problems"]) == (200, {})
    assert "watchword_revocations_pending 0.0" in metrics.text


async def _ask(
    bench: Bench,
    route: InternalRoute,
    tenant: Tenant,
    *,
    box: LetterBox | None = None,
    **asked: object,
) -> httpx2.Response:
    public_key = (box or LetterBox()).public_key
    body = {"tenant": str(tenant.tenant_id), "public_key": public_key, **asked}
    return await bench.call(route, body)


async def _ask_many(bench: Bench, tenant: Tenant, names: list[str]) -> httpx2.Response:
    body = {"tenant": str(tenant.tenant_id), "subjects": names}
    return await bench.call(RESOLVE_SUBJECTS, body)
