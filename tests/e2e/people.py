"""A tenant with an application and people, through the public API only."""

import asyncio
import io
import json
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import uuid4

import httpx2
import pyotp
import zxingcpp
from PIL import Image

from deploy.local.system import System
from libs.messaging.cloud_event import CloudEvent, parse
from libs.messaging.kafka import KafkaSettings, read_topic

PATIENCE = timedelta(seconds=30)
Found = TypeVar("Found")


@dataclass
class Person:
    """Somebody who logs in, with a phone once they are enrolled; `steps` tells the used codes."""

    name: str
    subject_ref: str
    authenticator_id: str = ""
    phone: pyotp.TOTP | None = None
    recovery_key: str = ""
    otpauth: str = ""
    key: str = ""
    used: int = 0
    # What shows for some minutes after an enrollment that the person is there.
    presence: str = ""

    def next_code(self) -> str:
        """Return a code that was not used yet: that of now, or the one the phone shows next."""
        if self.phone is None:
            raise AssertionError("not enrolled")
        now = int(time.time()) // self.phone.interval
        step = max(now, self.used + 1)
        assert step <= now + 1, "both codes that are good now are used"
        self.used = step
        return self.phone.generate_otp(step)

    def code_in_use(self) -> str:
        """Return the code that was used last."""
        if self.phone is None:
            raise AssertionError("not enrolled")
        return self.phone.generate_otp(self.used)

    def wrong_code(self) -> str:
        """Return a code that is none of those near now."""
        if self.phone is None:
            raise AssertionError("not enrolled")
        now = int(time.time()) // self.phone.interval
        near = {self.phone.generate_otp(now + step) for step in range(-3, 4)}
        return next(code for digit in "0123456789" if (code := digit * 6) not in near)


@dataclass
class Tenancy:
    """One tenant, its manager, and one application that asks for the second step."""

    system: System
    http: httpx2.AsyncClient
    tenant_id: str
    manage_key: str
    application_id: str
    key: str
    since: datetime

    async def ask(
        self,
        path: str,
        body: Mapping[str, object],
        *,
        key: str | None = None,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Send a request as the application, or with another key."""
        sent = {"Authorization": f"Bearer {key or self.key}", **(headers or {})}
        return await self.http.request(method, path, json=body, headers=sent)

    async def must(
        self,
        path: str,
        body: Mapping[str, object],
        *,
        status: int,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, object]:
        """Send a request whose answer must have a status; returns its body."""
        answer = await self.ask(path, body, key=key, headers=headers)
        assert answer.status_code == status, answer.text
        content: dict[str, object] = answer.json()
        return content

    async def effective(
        self,
        path: str,
        body: Mapping[str, object],
        *,
        key: str | None = None,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, object]:
        """Repeat a request while its answer is `pending`; return the body that is `effective`."""
        async with asyncio.timeout(PATIENCE.total_seconds()):
            while (
                answer := await self.ask(path, body, key=key, method=method, headers=headers)
            ).status_code == 202:
                assert answer.json()["status"] == "pending"
        content: dict[str, object] = answer.json()
        assert (answer.status_code, content["status"]) == (200, "effective")
        return content

    async def get(self, path: str) -> httpx2.Response:
        """Read something as the application."""
        return await self.http.get(path, headers={"Authorization": f"Bearer {self.key}"})

    async def application(self, policy: Mapping[str, object]) -> str:
        """Make another application of the tenant; returns its key once it works."""
        made = await self.must(
            "/v1/applications",
            {"name": "Another", "scopes": ["enroll", "verify"], "policy": policy},
            status=201,
            key=self.manage_key,
        )
        key = str(made["key"])

        async def works() -> bool:
            return (await self.ask("/v1/decisions", {"subject": "x"}, key=key)).status_code == 200

        await until(works)
        return key

    async def rules(self, *rules: Mapping[str, object], replaces: int | None = None) -> int:
        """Write rules and bring them into force; returns their version."""
        body = {"rules": {"time_zone": "Europe/Amsterdam", "rules": rules}, "reason": "A test"}
        version = (await self.must("/v1/rules", body, status=201, key=self.manage_key))["version"]
        publication = {"replaces": replaces, "reason": "A test"}
        path = f"/v1/rules/{version}/publication"
        await self.must(path, publication, status=200, key=self.manage_key)

        async def in_force() -> bool:
            answer = (await self.ask("/v1/decisions", {"subject": "x"})).json()
            return bool(answer.get("rules", {}).get("version") == version)

        await until(in_force)
        return int(str(version))

    async def person(
        self, *, language: str = "en", user_type: str | None = None, groups: Sequence[str] = ()
    ) -> Person:
        """Make a subject, known to every service."""
        name = f"{uuid4().hex[:12]}@example.org"
        attributes = {"language": language, "user_type": user_type, "groups": list(groups)}
        made = await self.must(
            "/v1/subjects",
            {"subject": name, "email": name, **attributes},
            status=201,
            key=self.manage_key,
        )
        return Person(name=name, subject_ref=str(made["subject_ref"]))

    async def enroll(self, person: Person, *, name: str = "My phone") -> float:
        """Enroll a TOTP authenticator: scan the QR code, confirm, keep the recovery key.

        Returns when the confirmation was answered (time.monotonic).
        """
        started = await self.must(
            "/v1/enrollments",
            {"subject": person.name, "factor": "totp", "name": name},
            status=201,
            headers={"Watchword-Receipt": person.presence} if person.presence else {},
        )
        person.otpauth, person.key = scan(str(started["qr_png"])), str(started["key"])
        phone = pyotp.parse_uri(person.otpauth)
        assert isinstance(phone, pyotp.TOTP)
        person.phone, person.used = phone, int(time.time()) // 30
        path = f"/v1/enrollments/{started['enrollment_id']}/confirmation"
        confirmed = await self.must(path, {"code": person.code_in_use()}, status=200)
        answered = time.monotonic()
        person.authenticator_id = str(confirmed["authenticator_id"])
        person.presence = str(confirmed["presence"])
        issued = await self.must(
            "/v1/recovery-keys", {"ticket": confirmed["recovery_ticket"]}, status=201
        )
        person.recovery_key = str(issued["recovery_key"])
        acknowledgement = f"/v1/recovery-keys/{issued['recovery_key_id']}/acknowledgement"
        await self.must(acknowledgement, {"generation": issued["generation"]}, status=200)
        return answered

    async def enrolled(self, *, language: str = "en") -> Person:
        """Make a person who is enrolled and whom verification can judge."""
        person = await self.person(language=language)
        await self.enroll(person)
        await self.until_decided(person, "challenge")
        return person

    async def decision(self, person: Person, *, key: str | None = None) -> object:
        """Return what the application should do now."""
        answer = await self.ask("/v1/decisions", {"subject": person.name}, key=key)
        return answer.json().get("decision")

    async def until_decided(self, person: Person, wanted: str) -> None:
        """Wait until verification decides so."""

        async def decided() -> bool:
            return await self.decision(person) == wanted

        await until(decided)

    async def verify(self, person: Person, code: str, **headers: str) -> httpx2.Response:
        """Have a code judged."""
        sent = {"Authorization": f"Bearer {self.key}", **headers}
        body = {"subject": person.name, "code": code}
        return await self.http.post("/v1/verify", json=body, headers=sent)

    async def events_of(self, person: Person, *, until_type: str) -> list[CloudEvent]:
        """Read a person's events back from Kafka, until one of a type has come."""
        settings = KafkaSettings(
            bootstrap=self.system.servers.kafka.bootstrap_servers, client_id="test"
        )
        found: list[CloudEvent] = []
        async with asyncio.timeout(PATIENCE.total_seconds()):
            async for record in read_topic(settings, "mfa.events", start=self.since, follow=True):
                event = parse(record.value)
                if event.subject == person.subject_ref:
                    found.append(event)
                    if event.type == until_type:
                        break
        return found

    async def mails_to(self, person: Person) -> list[dict[str, object]]:
        """Return what lies in the inbox for a person."""
        async with httpx2.AsyncClient() as http:
            mails = (await http.get(f"{self.system.inbox_url}/messages")).json()
        return [mail for mail in mails if person.name in json.dumps(mail["to"])]


@asynccontextmanager
async def new_tenancy(system: System) -> AsyncIterator[Tenancy]:
    """Make a tenant with an application, and wait until every service knows it."""
    since = datetime.now(UTC) - timedelta(seconds=1)
    async with httpx2.AsyncClient(base_url=system.url, timeout=15) as http:
        operator = {"Authorization": f"Bearer {system.made.operator_key}"}
        tenant = (await http.post("/v1/tenants", json={"name": "Test"}, headers=operator)).json()
        made = Tenancy(system, http, tenant["tenant_id"], tenant["key"], "", "", since)
        application = await made.must(
            "/v1/applications", {"name": "Test app"}, status=201, key=made.manage_key
        )
        made.application_id, made.key = str(application["application_id"]), str(application["key"])

        async def known_everywhere() -> bool:
            answers = [
                await made.ask("/v1/decisions", {"subject": "x"}),
                await made.ask("/v1/enrollments", {"subject": "x", "factor": "totp"}),
                await made.ask("/v1/recovery-keys", {"ticket": "x"}),
            ]
            return [answer.status_code for answer in answers] == [200, 404, 403]

        await until(known_everywhere)
        yield made


async def until(holds: Callable[[], Awaitable[bool]], within: timedelta = PATIENCE) -> None:
    """Wait until something holds; fails when it does not in time."""
    deadline = time.monotonic() + within.total_seconds()
    while not await holds():
        assert time.monotonic() < deadline, f"{holds.__qualname__} did not hold in time"
        await asyncio.sleep(0.02)


def scan(data_uri: str) -> str:
    """Read a QR code as a phone would."""
    picture = b64decode(data_uri.removeprefix("data:image/png;base64,"))
    # Of other kinds of codes, one can be seen by chance in the pattern of a QR code.
    image, kind = (
        Image.open(io.BytesIO(picture)),
        zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode),
    )
    codes = zxingcpp.read_barcodes(image, formats=kind)
    assert len(codes) == 1
    return str(codes[0].text)
