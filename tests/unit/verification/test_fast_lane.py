"""Which bodies the fast lane takes, and which it leaves to the app."""

import json

import pytest
from starlette.types import Message, Receive, Scope, Send

from services.verification.api.door import Envelope, Question, Reply
from services.verification.api.verify import fast_lane

SUBJECT = "a@example.org"


async def lane_of(body: bytes) -> str | Question:
    """Return the question that was read, or "app" where it was handed on."""
    taken: list[str | Question] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        taken.append("app")

    async def door(question: Question, envelope: Envelope) -> Reply:
        taken.append(question)
        return Reply(200, [], b"")

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        return

    headers = [(b"authorization", b"Bearer x"), (b"content-type", b"application/json")]
    scope = {"type": "http", "path": "/v1/verify", "method": "POST", "headers": headers}
    await fast_lane(app, door)(scope, receive, send)  # type: ignore[arg-type]
    return taken[0]


@pytest.mark.parametrize("code", ["123456", "1234567890", "7HJ2K-9QXW4"])
@pytest.mark.parametrize("next_code", [None, "123456", "12345678"])
async def test_takes_codes_in_their_one_form(code: str, next_code: str | None) -> None:
    body = {"subject": SUBJECT, "code": code, "next_code": next_code}

    assert await lane_of(json.dumps(body).encode()) == Question(SUBJECT, code, next_code=next_code)


@pytest.mark.security("S4")
@pytest.mark.parametrize(
    "code", ["12345", "12345678901", "7hj2k-9qxw4", "7HJ2K9QXW4", "7HJ2K-9QXWO", "123456-12345"]
)
async def test_leaves_other_forms_of_a_code_to_the_app(code: str) -> None:
    assert await lane_of(json.dumps({"subject": SUBJECT, "code": code}).encode()) == "app"


@pytest.mark.security("S4")
@pytest.mark.parametrize(
    "more",
    [
        '"next_code": ""',
        '"next_code": "12345"',
        '"next_code": "123456789"',
        '"next_code": "7HJ2K-9QXW4"',
        '"next_code": 123456',
        '"next_code": "123456", "next_code": "654321"',
        '"next_code": "123456", "next_code": null',
    ],
)
async def test_leaves_other_forms_of_the_next_code_to_the_app(more: str) -> None:
    assert await lane_of(f'{{"subject": "{SUBJECT}", "code": "123456", {more}}}'.encode()) == "app"
