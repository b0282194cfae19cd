import asyncio
import unicodedata
from uuid import uuid4

import pytest

from contracts.envelope import data_of
from contracts.policy import SUBJECT_STATE, SubjectState
from libs.sealing.seal import SealBroken
from services.policy.gateways import Keepers
from services.policy.use_cases.personal import PersonalSeals
from services.policy.use_cases.subjects import Subjects
from tests.integration.policy.bench import Bench, Tenant

_ANNA = {
    "subject": "anna.de.vries@example.org",
    "email": "anna.de.vries@example.org",
    "label": "Anna (employee)",
    "user_type": "employee",
    "groups": ["staff", "it"],
    "language": "nl",
}


async def test_a_subject_is_shown_as_it_was_made(tenant: Tenant) -> None:
    made = await tenant.api("POST", "/v1/subjects", _ANNA)

    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    shown = made.json()
    assert {name: shown[name] for name in _ANNA} == {**_ANNA, "groups": ["it", "staff"]}
    assert shown["version"] == 1
    path = f"/v1/subjects/{shown['subject_ref']}"
    assert (await tenant.api("GET", path)).json() == shown
    found = await tenant.api("POST", "/v1/subjects/search", {"subject": _ANNA["subject"]})
    assert found.json() == shown


async def test_the_label_is_the_subject_where_none_is_given(tenant: Tenant) -> None:
    made = (await tenant.api("POST", "/v1/subjects", {"subject": "anna"})).json()

    assert (made["label"], made["email"], made["language"]) == ("anna", None, "en")


async def test_the_same_subject_again_is_a_conflict_that_names_it(tenant: Tenant) -> None:
    made = (await tenant.api("POST", "/v1/subjects", _ANNA)).json()

    again = await tenant.api("POST", "/v1/subjects", {**_ANNA, "label": "Another"})

    problem = again.json()
    assert (again.status_code, problem["code"]) == (409, "subject_exists")
    assert problem["detail"] == made["subject_ref"]


@pytest.mark.requirement("C5")
async def test_two_logins_of_one_address_have_labels_of_their_own(tenant: Tenant) -> None:
    first = {"subject": "login-1", "email": "anna@example.org", "label": "anna@example.org"}
    second = {**first, "subject": "login-2"}
    assert (await tenant.api("POST", "/v1/subjects", first)).status_code == 201

    refused = await tenant.api("POST", "/v1/subjects", second)
    made = await tenant.api("POST", "/v1/subjects", {**second, "label": "Anna, manager"})

    assert (refused.status_code, refused.json()["code"]) == (409, "label_taken")
    assert made.status_code == 201
    path = f"/v1/subjects/{made.json()['subject_ref']}"
    renamed = await tenant.api("PATCH", path, {"label": "anna@example.org"})
    assert (renamed.status_code, renamed.json()["code"]) == (409, "label_taken")
    assert (await tenant.api("GET", path)).json() == made.json()


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ({"subject": "a"}, {"subject": "a"}, "subject_exists"),
        ({"subject": "a", "label": "x"}, {"subject": "a", "label": "y"}, "subject_exists"),
        ({"subject": "a", "label": "x"}, {"subject": "b", "label": "x"}, "label_taken"),
        ({"subject": "a"}, {"subject": "b", "label": "a"}, "label_taken"),
    ],
)
async def test_of_two_at_once_one_comes_first(
    bench: Bench, tenant: Tenant, first: dict[str, str], second: dict[str, str], code: str
) -> None:
    answers = await asyncio.gather(
        *(tenant.api("POST", "/v1/subjects", body) for body in (first, second))
    )

    assert sorted(answer.status_code for answer in answers) == [201, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["code"] == code
    assert len(await _states(bench, tenant)) == 1


async def test_two_subjects_that_want_one_label_at_once_get_it_once(tenant: Tenant) -> None:
    refs = [
        (await tenant.api("POST", "/v1/subjects", {"subject": name})).json()["subject_ref"]
        for name in ("a", "b")
    ]

    answers = await asyncio.gather(
        *(tenant.api("PATCH", f"/v1/subjects/{ref}", {"label": "x"}) for ref in refs)
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_changes_at_once_are_all_kept_in_order(bench: Bench, tenant: Tenant) -> None:
    made = (await tenant.api("POST", "/v1/subjects", {"subject": "anna"})).json()
    path = f"/v1/subjects/{made['subject_ref']}"
    changes: list[dict[str, object]] = [
        {"email": "anna@example.org"},
        {"label": "Anna"},
        {"user_type": "staff"},
        {"groups": ["it"]},
        {"language": "nl"},
    ]

    await asyncio.gather(*(tenant.api("PATCH", path, change) for change in changes))

    shown = (await tenant.api("GET", path)).json()
    assert all(shown[name] == value for change in changes for name, value in change.items())
    states = await _states(bench, tenant)
    assert [state.version for state in states] == [1, 2, 3, 4, 5, 6]
    assert (states[-1].user_type, states[-1].groups, states[-1].language) == (
        "staff",
        ("it",),
        "nl",
    )


async def test_a_change_of_nothing_is_not_announced(bench: Bench, tenant: Tenant) -> None:
    made = (await tenant.api("POST", "/v1/subjects", _ANNA)).json()
    path = f"/v1/subjects/{made['subject_ref']}"

    same = await tenant.api("PATCH", path, {"groups": ["it", "staff"], "email": made["email"]})

    assert same.json() == made
    assert len(await _states(bench, tenant)) == 1


async def test_null_takes_away_what_need_not_be(tenant: Tenant) -> None:
    made = (await tenant.api("POST", "/v1/subjects", _ANNA)).json()
    path = f"/v1/subjects/{made['subject_ref']}"

    changed = (await tenant.api("PATCH", path, {"email": None, "user_type": None})).json()

    assert (changed["email"], changed["user_type"], changed["label"]) == (
        None,
        None,
        _ANNA["label"],
    )
    for name in ("label", "groups", "language"):
        assert (await tenant.api("PATCH", path, {name: None})).status_code == 422
    assert (await tenant.api("PATCH", path, {"subject": "b"})).status_code == 422


async def test_deleting_erases_what_named_the_subject(bench: Bench, tenant: Tenant) -> None:
    made = (await tenant.api("POST", "/v1/subjects", _ANNA)).json()
    path = f"/v1/subjects/{made['subject_ref']}"

    assert (await tenant.api("DELETE", path)).status_code == 204

    row = await bench.owner.fetchrow(
        "SELECT * FROM subject WHERE subject_ref = $1", made["subject_ref"]
    )
    assert row is not None
    assert (row["sealed"], row["subject_digest"], row["label_digest"]) == (None, None, None)
    assert (row["deleted"], row["user_type"], row["groups"]) == (True, None, [])
    last = (await _states(bench, tenant))[-1]
    assert (last.version, last.deleted, last.user_type, last.groups) == (2, True, None, ())
    for method, body in (("GET", None), ("PATCH", {"language": "en"}), ("DELETE", None)):
        assert (await tenant.api(method, path, body)).status_code == 404
    search = {"subject": _ANNA["subject"]}
    assert (await tenant.api("POST", "/v1/subjects/search", search)).status_code == 404
    again = (await tenant.api("POST", "/v1/subjects", _ANNA)).json()
    assert again["subject_ref"] != made["subject_ref"]


async def test_a_list_comes_in_pages_each_subject_once(tenant: Tenant) -> None:
    made = [
        (await tenant.api("POST", "/v1/subjects", {"subject": f"s{n}"})).json() for n in range(5)
    ]
    seen: list[object] = []
    path = "/v1/subjects?limit=2"
    sizes = []
    while path:
        page = (await tenant.api("GET", path)).json()
        seen += page["subjects"]
        sizes.append(len(page["subjects"]))
        cursor = page["next_cursor"]
        path = f"/v1/subjects?limit=2&cursor={cursor}" if cursor else ""

    assert seen == made
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize(("limit", "status"), [(0, 422), (1, 200), (200, 200), (201, 422)])
async def test_a_page_has_its_bounds(tenant: Tenant, limit: int, status: int) -> None:
    response = await tenant.api("GET", f"/v1/subjects?limit={limit}")

    assert response.status_code == status


@pytest.mark.security("S4")
async def test_a_subject_has_exactly_one_form(tenant: Tenant) -> None:
    subject = "\u00c5nna1@example.org"
    forms = [
        subject,
        subject + " ",
        " " + subject,
        subject + "\u00a0",
        subject.replace("@", "\u00a0@"),
        subject.replace("@", "\u200b@"),
        "\ufeff" + subject,
        subject + "\n",
        subject + "\x00",
        subject.replace("1", "\uff11"),
        subject.replace("1", "\u0661"),
        subject.replace("@", "\uff20"),
        unicodedata.normalize("NFD", subject),
        subject.replace("\u00c5", "\u212b"),
        subject.lower(),
        subject.upper(),
        subject.replace("n", "\u0578"),
    ]
    assert len(set(forms)) == len(forms)
    made = await tenant.api("POST", "/v1/subjects", {"subject": subject})
    assert made.status_code == 201

    answers = [await tenant.api("POST", "/v1/subjects/search", {"subject": form}) for form in forms]

    assert [answer.status_code for answer in answers].count(200) == 1
    assert {answer.status_code for answer in answers[1:]} == {404, 422}


@pytest.mark.security("S4")
@pytest.mark.parametrize(
    "subject",
    ["", " a", "a b", "a\u200b", "\uff41", "\ufb01x", 7, None, ["a"], {"a": 1}, "a" * 321],
)
async def test_refuses_a_subject_that_has_not_the_form(tenant: Tenant, subject: object) -> None:
    for path in ("/v1/subjects", "/v1/subjects/search"):
        response = await tenant.api("POST", path, {"subject": subject})

        assert (response.status_code, response.json()["code"]) == (422, "malformed_request")


async def test_a_label_may_have_spaces(tenant: Tenant) -> None:
    body = {"subject": "anna", "label": "Anna de Vries"}

    assert (await tenant.api("POST", "/v1/subjects", body)).json()["label"] == "Anna de Vries"


async def test_refuses_a_lone_surrogate(bench: Bench, tenant: Tenant) -> None:
    response = await bench.http.post(
        "/v1/subjects",
        content=b'{"subject": "a\\ud800"}',
        headers={"Authorization": f"Bearer {tenant.api.key}", "Content-Type": "application/json"},
    )

    assert response.status_code == 422


async def test_a_subject_may_be_as_long_as_an_address(tenant: Tenant) -> None:
    assert (await tenant.api("POST", "/v1/subjects", {"subject": "a" * 320})).status_code == 201


@pytest.mark.parametrize(
    "email", ["anna", "anna@", "anna@localhost", "a b@example.org", "", "A <a@b.nl>"]
)
async def test_refuses_what_is_no_address_without_repeating_it(tenant: Tenant, email: str) -> None:
    response = await tenant.api("POST", "/v1/subjects", {"subject": "a", "email": email})

    assert response.status_code == 422
    assert email == "" or email not in response.text


@pytest.mark.security("S14")
async def test_what_names_a_person_stands_nowhere_in_clear(bench: Bench, tenant: Tenant) -> None:
    word = f"canary{uuid4().hex}"
    body = {"subject": f"{word}s", "email": f"{word}@example.org", "label": f"{word} l"}
    made = (await tenant.api("POST", "/v1/subjects", body)).json()
    path = f"/v1/subjects/{made['subject_ref']}"
    await tenant.api("PATCH", path, {"email": f"x{word}@example.org"})
    await tenant.api("POST", "/v1/subjects", body)

    rows = await bench.owner.fetch("SELECT s::text, sealed FROM subject s WHERE NOT deleted")
    said = await bench.owner.fetch(
        "SELECT o::text, payload FROM outbox o WHERE payload IS NOT NULL"
    )

    assert rows
    assert all(
        word not in row["s"] and word.encode() not in row["sealed"] for row in rows if row["sealed"]
    )
    assert all(word not in row["o"] and word.encode() not in row["payload"] for row in said)


@pytest.mark.security("S9")
async def test_a_seal_does_not_open_in_another_row(bench: Bench, tenant: Tenant) -> None:
    refs = [
        (await tenant.api("POST", "/v1/subjects", {"subject": name})).json()["subject_ref"]
        for name in ("a", "b")
    ]
    await bench.owner.execute(
        "UPDATE subject SET sealed = (SELECT sealed FROM subject WHERE subject_ref = $1)"
        " WHERE subject_ref = $2",
        *refs,
    )
    plumbing = bench.plumbing
    seals = PersonalSeals(plumbing.data_keys)
    subjects = Subjects(plumbing.app_pool, seals, clock=plumbing.clock, keepers=Keepers({}))

    with pytest.raises(SealBroken):
        await subjects.load_many(tenant.tenant_id, refs)


async def _states(bench: Bench, tenant: Tenant) -> list[SubjectState]:
    """Return the states of subjects in the order in which they come out of the outbox."""
    return [
        data_of(SUBJECT_STATE, event)
        for _, event in await bench.announced(tenant.tenant_id)
        if event.type == SUBJECT_STATE.name
    ]
