"""The fast lane and the app behind it give the same answers."""

import json
import re

import httpx2
import pytest

from contracts.vocabulary import Scope
from tests.integration.verification.conftest import Application, World

REASONS = (Scope.VERIFY, Scope.VERIFY_REASONS)


async def ask(
    world: World, application: Application, body: bytes, **headers: str
) -> httpx2.Response:
    sent = {"Authorization": f"Bearer {application.key}", "Content-Type": "application/json"}
    return await world.public.post("/v1/verify", content=body, headers=sent | headers)


def shape(answer: httpx2.Response) -> tuple[object, ...]:
    body = {name: value for name, value in answer.json().items() if name != "trace_id"}
    return answer.status_code, body, sorted(answer.headers.items())


def by_the_app(body: bytes) -> bytes:
    """Write the same question so that the fast lane hands it on."""
    return body.replace(b'"subject"', b'"\\u0073ubject"')


@pytest.mark.parametrize("scopes", [REASONS, (Scope.VERIFY,), (Scope.ENROLL,)])
async def test_a_refusal_is_the_same_in_both_lanes(world: World, scopes: tuple[Scope, ...]) -> None:
    application = await world.application(scopes=scopes)
    person = await world.person(application.tenant)
    body = json.dumps({"subject": person.name, "code": world.wrong_code(person)}).encode()

    fast, slow = [await ask(world, application, one) for one in (body, by_the_app(body))]

    assert fast.status_code == 403
    assert shape(fast) == shape(slow)


async def test_an_acceptance_is_the_same_in_both_lanes(world: World) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    body = json.dumps({"subject": person.name, "code": world.code(person)}).encode()
    key = {"Idempotency-Key": "the-same-key"}

    fast, slow = [await ask(world, application, one, **key) for one in (body, by_the_app(body))]

    assert fast.status_code == 200
    assert shape(fast) == shape(slow)


async def test_a_stranger_and_a_caller_without_a_key_hear_the_same_in_both_lanes(
    world: World,
) -> None:
    application = await world.application()
    body = b'{"subject": "nobody@example.org", "code": "123456"}'
    for authorization in (f"Bearer {application.key}", "Bearer x", f"Bearer {application.key}x"):
        fast, slow = [
            await ask(world, application, one, Authorization=authorization)
            for one in (body, by_the_app(body))
        ]

        assert fast.status_code in (401, 403)
        assert shape(fast) == shape(slow)


@pytest.mark.security("S4")
@pytest.mark.parametrize(
    "body",
    [
        b'{"subject": "a@example.org", "subject": "b@example.org", "code": "123456"}',
        b'{"subject": "a@example.org", "code": "123456", "code": "654321"}',
        b'{"subject": "a@example.org", "code": "123456", "\\u0063ode": "654321"}',
        b'{"subject": "a@example.org", "code": "123456"} ',
        b'{"subject": "a@example.org", "code": "123456"}{}',
        b'["a@example.org", "123456"]',
        b"",
        b"{",
        b'{"subject": "a@example.org", "code": "123456", "authenticator": "x"}',
        b'\xef\xbb\xbf{"subject": "a@example.org", "code": "123456"}',
        b'{"subject": "\xff", "code": "123456"}',
        b'{"subject": "\\ud800", "code": "123456"}',
    ],
)
async def test_a_question_has_one_form(world: World, body: bytes) -> None:
    application = await world.application()

    answer = await ask(world, application, body)

    # White space around a question is none of its words.
    assert answer.status_code == (403 if body.endswith(b"} ") else 422)
    assert "123456" not in answer.text


@pytest.mark.security("S4")
@pytest.mark.parametrize("key", ["short", "x" * 256, "with space", "\u00e9" * 8])
async def test_an_idempotency_key_has_one_form(world: World, key: str) -> None:
    application = await world.application()
    body = b'{"subject": "a@example.org", "code": "123456"}'
    headers = [
        (b"Authorization", f"Bearer {application.key}".encode()),
        (b"Content-Type", b"application/json"),
        (b"Idempotency-Key", key.encode("latin-1")),
    ]

    answer = await world.public.post("/v1/verify", content=body, headers=headers)

    assert answer.status_code == 422


@pytest.mark.security("S14")
@pytest.mark.parametrize("lane", ["fast", "slow"])
async def test_only_a_trace_context_gets_into_events(world: World, lane: str) -> None:
    application = await world.application()
    person = await world.person(application.tenant)
    traces = [f"00-{7:032x}-{9:016x}-00", f"00-{0:032x}-{9:016x}-01", "123456", "00-a-b-01"]
    for number, trace in enumerate(traces):
        code = world.wrong_code(person)
        body = json.dumps({"subject": person.name, "code": code}).encode()
        body = body if lane == "fast" else by_the_app(body)
        assert (await ask(world, application, body, traceparent=trace)).status_code == 403, number

    rows = await world.rows(
        "SELECT convert_from(payload, 'UTF8')::jsonb->>'traceparent' AS trace FROM outbox"
        " WHERE type = 'mfa.verification_failed' ORDER BY sequence"
    )
    found = [str(row["trace"]) for row in rows]
    assert found[0].startswith(f"00-{7:032x}-")
    # None, or a trace of our own.
    assert all(trace == "None" or re.fullmatch("00-[0-9a-f-]{52}", trace) for trace in found[1:])
    assert not set(found) & set(traces[1:])
