"""What a tenant says of shared mailboxes, and what enrollment hears of an address."""

from uuid import uuid4

import httpx2
import pytest

from contracts.envelope import data_of
from contracts.internal import RESOLVE_SUBJECT, ResolvedSubject
from contracts.policy import TENANT_CHANGED, TenantChanged
from contracts.subjects import Mailbox
from libs.sealing.letter import LetterBox
from tests.integration.policy.bench import Bench, Tenant
from tests.integration.policy.people import two_owners

_PATH = "/v1/settings/mailboxes"
_FEW = {"then": "refuse", "names": ["info", "noreply*"]}


async def test_who_says_nothing_refuses_the_standard_ones(bench: Bench, tenant: Tenant) -> None:
    shown = (await tenant.api("GET", _PATH)).json()

    assert (shown["then"], shown["standard"], shown["version"]) == ("refuse", True, 1)
    assert {"info", "office", "kantoor", "noreply*"} <= set(shown["names"])
    assert await _mailbox(bench, tenant, "info@example.org") is Mailbox.SHARED_REFUSED
    assert await _mailbox(bench, tenant, "Info+x@example.org") is Mailbox.SHARED_REFUSED
    assert await _mailbox(bench, tenant, "anna@example.org") is Mailbox.PERSONAL
    assert await _mailbox(bench, tenant, None) is Mailbox.NONE


async def test_an_address_is_what_the_tenant_says(bench: Bench, tenant: Tenant) -> None:
    other = await bench.new_tenant()

    chosen = await tenant.api("PUT", _PATH, {"then": "flag", "names": ["vakgroep*"]})

    assert chosen.status_code == 200
    assert chosen.json() == {
        **{"then": "flag", "names": ["vakgroep*"]},
        **{"standard": False, "version": 2},
    }
    assert (await tenant.api("GET", _PATH)).json() == chosen.json()
    assert await _mailbox(bench, tenant, "vakgroep-3@example.org") is Mailbox.SHARED_FLAGGED
    assert await _mailbox(bench, tenant, "info@example.org") is Mailbox.PERSONAL
    assert await _mailbox(bench, other, "vakgroep-3@example.org") is Mailbox.PERSONAL
    assert await _mailbox(bench, other, "info@example.org") is Mailbox.SHARED_REFUSED


async def test_the_standard_ones_come_back(tenant: Tenant) -> None:
    before = (await tenant.api("GET", _PATH)).json()
    await tenant.api("PUT", _PATH, _FEW)

    for body in ({"then": "refuse"}, {"then": "refuse", "names": None}):
        back = await tenant.api("PUT", _PATH, body)
        assert back.json() == before | {"version": 3}


async def test_nothing_of_the_address_is_in_the_answer(bench: Bench, tenant: Tenant) -> None:
    answer = await _resolved(bench, tenant, "info@example.org")

    assert "info" not in answer.text
    assert "example" not in answer.text


async def test_a_change_is_an_event_without_the_names(bench: Bench, tenant: Tenant) -> None:
    await tenant.api("PUT", _PATH, _FEW)
    await tenant.api("PUT", _PATH, _FEW)

    said = [event for _, event in await bench.announced(tenant.tenant_id)]
    changed = [event for event in said if event.type == TENANT_CHANGED.name][1:]
    [data] = [data_of(TENANT_CHANGED, event) for event in changed]
    assert isinstance(data, TenantChanged)
    assert (data.mailboxes, data.four_eyes) == (True, False)
    assert "noreply" not in str(changed)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"names": ["info"]},
        {"then": "maybe", "names": ["info"]},
        {"then": "refuse", "names": ["Info"]},
        {"then": "refuse", "names": ["*"]},
        {"then": "refuse", "names": ["info", "info"]},
        {"then": "refuse", "names": ["info@example.org"]},
        {"then": "refuse", "names": ["a" * 65]},
        {"then": "refuse", "names": [f"n{n}" for n in range(501)]},
        {"then": "refuse", "names": "info"},
        {"then": "refuse", "names": [1]},
        {"then": "refuse", "four_eyes": False},
    ],
)
async def test_refuses_what_could_not_be_met(tenant: Tenant, body: dict[str, object]) -> None:
    refused = await tenant.api("PUT", _PATH, body)

    assert (refused.status_code, refused.json()["code"]) == (422, "malformed_request")
    assert (await tenant.api("GET", _PATH)).json()["version"] == 1


async def test_takes_as_many_as_there_may_be(tenant: Tenant) -> None:
    most = {"then": "refuse", "names": [f"{'n' * 61}{n:03}" for n in range(500)]}

    assert (await tenant.api("PUT", _PATH, most)).json()["names"] == most["names"]


@pytest.mark.requirement("C1")
async def test_to_let_more_in_waits_for_a_second_owner(bench: Bench, tenant: Tenant) -> None:
    anna, bert = await two_owners(tenant)

    waiting = await anna.api("PUT", _PATH, {"then": "flag", "names": None})

    assert (waiting.status_code, waiting.json()["act"]) == (202, "change_mailboxes")
    assert waiting.json()["because"] == ["shared mailboxes: flag instead of refuse"]
    assert waiting.json()["content"] == {"then": "flag", "names": None}
    assert (await tenant.api("GET", _PATH)).json()["version"] == 1
    path = f"/v1/proposals/{waiting.json()['proposal_id']}/approval"
    assert (await anna.api("POST", path)).status_code == 403
    assert (await bert.api("POST", path)).status_code == 200
    shown = (await tenant.api("GET", _PATH)).json()
    assert (shown["then"], shown["standard"], shown["version"]) == ("flag", True, 2)
    authors = [
        event.data["changed_by"]
        for _, event in await bench.announced(tenant.tenant_id)
        if event.type == TENANT_CHANGED.name and event.data["mailboxes"]
    ]
    assert authors == [anna.key_id]


@pytest.mark.requirement("C1")
async def test_to_let_fewer_in_does_not_wait(tenant: Tenant) -> None:
    await tenant.api("PUT", _PATH, {"then": "flag", "names": ["info"]})
    anna, _ = await two_owners(tenant)

    for body in (
        {"then": "refuse", "names": ["info"]},
        {"then": "refuse", "names": ["inf*", "hr"]},
        {"then": "refuse", "names": ["inf*", "hr"]},
    ):
        assert (await anna.api("PUT", _PATH, body)).status_code == 200
    fewer = await anna.api("PUT", _PATH, {"then": "refuse", "names": ["inf*"]})
    assert fewer.json()["because"] == ["no shared mailboxes any more: hr"]


@pytest.mark.requirement("C1")
async def test_what_was_compared_with_other_names_is_stale(tenant: Tenant) -> None:
    anna, bert = await two_owners(tenant)
    waiting = (await anna.api("PUT", _PATH, {"then": "allow"})).json()
    more = {"then": "refuse", "names": [*(await tenant.api("GET", _PATH)).json()["names"], "x"]}
    assert (await bert.api("PUT", _PATH, more)).status_code == 200

    refused = await bert.api("POST", f"/v1/proposals/{waiting['proposal_id']}/approval")

    assert (refused.status_code, refused.json()["code"]) == (409, "proposal_stale")
    assert (await tenant.api("GET", _PATH)).json()["then"] == "refuse"


async def _mailbox(bench: Bench, tenant: Tenant, email: str | None) -> Mailbox | None:
    answer = await _resolved(bench, tenant, email)
    return ResolvedSubject.model_validate_json(answer.content).mailbox


async def _resolved(bench: Bench, tenant: Tenant, email: str | None) -> httpx2.Response:
    subject = f"p{uuid4().hex}"
    made = await tenant.api("POST", "/v1/subjects", {"subject": subject, "email": email})
    assert made.status_code == 201, made.text
    public_key = LetterBox().public_key
    body = {"tenant": str(tenant.tenant_id), "subject": subject, "public_key": public_key}
    answer = await bench.call(RESOLVE_SUBJECT, body)
    assert answer.status_code == 200, answer.text
    return answer
