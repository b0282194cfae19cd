"""Passkeys made by a real Chromium, on a virtual authenticator."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest
from playwright.async_api import Error, Page

from contracts.passkeys import PasskeyParty
from contracts.vocabulary import Factor
from tests.integration.enrollment.things import Application, Person
from tests.integration.enrollment.world import World

_PAGE = b"<!doctype html><html lang=en><title>Passkeys</title><p>Make a passkey.</p>"
_MAKE = """async (options) => {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    return (await navigator.credentials.create({ publicKey })).toJSON();
}"""
_AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@dataclass(frozen=True)
class Bench:
    """A person at a page of an application that uses passkeys."""

    world: World
    application: Application
    person: Person
    page: Page
    origin: str

    async def begin(self) -> dict[str, Any]:
        """Begin to enroll; return what is shown."""
        wish = {"subject": self.person.name, "factor": "passkey"}
        answer = await self.world.ask(self.application, "POST", "/v1/enrollments", wish)
        assert answer.status_code == 201, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def make(self, options: dict[str, Any]) -> dict[str, Any]:
        """Have the browser make a passkey."""
        made: dict[str, Any] = await self.page.evaluate(_MAKE, options)
        return made

    async def confirm(self, shown: dict[str, Any], made: dict[str, Any]) -> httpx2.Response:
        """Hand over what the browser made."""
        path = f"/v1/enrollments/{shown['enrollment_id']}/confirmation"
        return await self.world.ask(self.application, "POST", path, {"credential": made})


@asynccontextmanager
async def _served() -> AsyncIterator[int]:
    """Serve the page on a port of this machine."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(_PAGE)}"
        writer.write(head.encode() + b"\r\nConnection: close\r\n\r\n" + _PAGE)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def at(world: World, page: Page) -> AsyncIterator[Callable[..., Any]]:
    """Put a person with an authenticator before a page at `host`."""
    async with AsyncExitStack() as stack:

        async def put(host: str = "localhost", **authenticator: object) -> Bench:
            origin = f"http://{host}:{await stack.enter_async_context(_served())}"
            party = PasskeyParty(rp_id="localhost", origins=(origin,))
            application = await world.application(factors=(Factor.PASSKEY,), passkeys=party)
            await page.goto(origin)
            devices = await page.context.new_cdp_session(page)
            await devices.send("WebAuthn.enable")
            options = {"options": _AUTHENTICATOR | authenticator}
            await devices.send("WebAuthn.addVirtualAuthenticator", options)
            person = world.person(application.tenant)
            return Bench(world, application, person, page, origin)

        yield put


async def test_a_browser_makes_a_passkey_that_counts(at: Callable[..., Any]) -> None:
    bench: Bench = await at()
    shown = await bench.begin()

    answer = await bench.confirm(shown, await bench.make(shown["public_key"]))

    assert answer.status_code == 200, answer.text
    assert (await bench.world.event_types(bench.person))[-1] == "enrolled"


async def test_the_browser_makes_no_second_one_on_the_same_authenticator(
    at: Callable[..., Any],
) -> None:
    bench: Bench = await at()
    shown = await bench.begin()
    await bench.confirm(shown, await bench.make(shown["public_key"]))

    again = await bench.begin()

    assert len(again["public_key"]["excludeCredentials"]) == 1
    with pytest.raises(Error, match="InvalidStateError"):
        await bench.make(again["public_key"])


async def test_one_for_another_person_of_the_same_authenticator_is_another(
    at: Callable[..., Any],
) -> None:
    bench: Bench = await at()
    other = replace(bench, person=bench.world.person(bench.application.tenant))

    for one in (bench, other):
        shown = await one.begin()
        answer = await one.confirm(shown, await one.make(shown["public_key"]))
        assert answer.status_code == 200, answer.text


async def test_a_page_of_another_origin_is_refused(at: Callable[..., Any]) -> None:
    bench: Bench = await at()
    shown = await bench.begin()
    async with _served() as port:
        await bench.page.goto(f"http://localhost:{port}")
        answer = await bench.confirm(shown, await bench.make(shown["public_key"]))

    assert (answer.status_code, answer.json()["code"]) == (403, "proof_refused")


async def test_a_passkey_for_another_relying_party_is_refused(at: Callable[..., Any]) -> None:
    bench: Bench = await at("login.localhost")
    shown = await bench.begin()
    options = shown["public_key"]
    forged = {**options, "rp": {**options["rp"], "id": "login.localhost"}}
    foreign = {**options, "rp": {**options["rp"], "id": "example.org"}}

    answer = await bench.confirm(shown, await bench.make(forged))

    assert (answer.status_code, answer.json()["code"]) == (403, "proof_refused")
    with pytest.raises(Error, match="SecurityError"):
        await bench.make(foreign)


async def test_a_replayed_response_is_refused(at: Callable[..., Any]) -> None:
    bench: Bench = await at()
    first, second = await bench.begin(), await bench.begin()
    made = await bench.make(first["public_key"])

    replayed = await bench.confirm(second, made)
    meant = await bench.confirm(first, made)

    assert (replayed.status_code, replayed.json()["code"]) == (403, "proof_refused")
    assert meant.status_code == 200, meant.text


async def test_the_browser_makes_none_for_somebody_who_is_not_verified(
    at: Callable[..., Any],
) -> None:
    bench: Bench = await at(isUserVerified=False)
    shown = await bench.begin()

    with pytest.raises(Error, match="NotAllowedError"):
        await bench.make(shown["public_key"])


async def test_a_page_that_asks_for_less_is_refused(at: Callable[..., Any]) -> None:
    bench: Bench = await at(hasUserVerification=False, isUserVerified=False)
    shown = await bench.begin()
    less = {"residentKey": "discouraged", "userVerification": "discouraged"}

    made = await bench.make({**shown["public_key"], "authenticatorSelection": less})
    answer = await bench.confirm(shown, made)

    assert (answer.status_code, answer.json()["code"]) == (403, "proof_refused")
