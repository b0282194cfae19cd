"""The main job on real input, step by step, through the public API only: one person's login."""

import asyncio
import io
import json
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pyotp
import zxingcpp
from PIL import Image

from deploy.local.process import private_file
from libs.messaging.cloud_event import CloudEvent, parse
from libs.messaging.kafka import KafkaSettings, read_topic

Say = Callable[[str], None]

_PATIENCE = timedelta(seconds=30)
# What the login below leads to; it is complete when as many of each have come.
_EXPECTED = {"mfa.notification_sent": 1, "mfa.verified": 1, "mfa.verification_failed": 2}


class DemoFailed(Exception):  # noqa: N818
    """A step did not go as it must; the text says which."""


@dataclass
class Phone:
    """The simulated phone of a person; `used` is the step of the code that was used last."""

    subject: str
    otpauth: str
    used: int

    @property
    def totp(self) -> pyotp.TOTP:
        """Return what makes the codes; raises DemoFailed where the QR code was for another."""
        parsed = pyotp.parse_uri(self.otpauth)
        if not isinstance(parsed, pyotp.TOTP):
            raise DemoFailed("the QR code is not for TOTP")
        return parsed

    def code(self) -> str:
        """Return the code that the phone shows now, and remember that it is used."""
        self.used = int(time.time()) // self.totp.interval
        return self.totp.generate_otp(self.used)

    async def next_code(self, say: Say) -> str:
        """Return a code that was not used, waiting for the phone to show one."""
        wait = (self.used + 1) * self.totp.interval - time.time()
        if wait > 0:
            say(f"a code is good once; the phone shows the next one in {wait:.0f} s")
            await asyncio.sleep(wait)
        return self.code()


@dataclass
class Demo:
    """The demo tenant, kept in a file so that the next run finds it."""

    tenant_id: str
    manage_key: str
    application_id: str
    application_key: str
    phones: list[Phone] = field(default_factory=list)


class Api:
    """The front door, as an application sees it."""

    def __init__(self, http: httpx2.AsyncClient, key: str) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {key}"}

    async def post(self, path: str, body: dict[str, object], *, expect: int) -> dict[str, object]:
        """Return the answer to a POST; raises DemoFailed where the status is another."""
        answer = await self._http.post(path, json=body, headers=self._headers)
        if answer.status_code != expect:
            raise DemoFailed(f"POST {path} gave {answer.status_code}: {answer.text}")
        content: dict[str, object] = answer.json()
        return content

    async def subject(self, name: str) -> str:
        """Return the subject_ref of a person, also of one whom an earlier run made and left."""
        body = {"subject": name, "email": name}
        answer = await self._http.post("/v1/subjects", json=body, headers=self._headers)
        if answer.status_code == 409 and answer.json()["code"] == "subject_exists":
            return str(answer.json()["detail"])
        if answer.status_code != 201:
            raise DemoFailed(f"POST /v1/subjects gave {answer.status_code}: {answer.text}")
        return str(answer.json()["subject_ref"])


async def load_or_create(http: httpx2.AsyncClient, file: Path, *, operator_key: str) -> Demo:
    """Return the demo tenant of this data folder, making it at the first run."""
    if file.exists():
        return load(file)
    operator = Api(http, operator_key)
    tenant = await operator.post("/v1/tenants", {"name": "Demo organisation"}, expect=201)
    manager = Api(http, str(tenant["key"]))
    application = await manager.post("/v1/applications", {"name": "Demo app"}, expect=201)
    demo = Demo(
        tenant_id=str(tenant["tenant_id"]),
        manage_key=str(tenant["key"]),
        application_id=str(application["application_id"]),
        application_key=str(application["key"]),
    )
    save(demo, file)
    return demo


def load(file: Path) -> Demo:
    """Return the demo tenant that an earlier run wrote down."""
    stored = json.loads(file.read_text())
    return Demo(**{**stored, "phones": [Phone(**phone) for phone in stored["phones"]]})


def save(demo: Demo, file: Path) -> None:
    """Write the demo tenant down, for its owner's eyes."""
    private_file(file, json.dumps(asdict(demo), indent=2))


async def first_login(http: httpx2.AsyncClient, demo: Demo, *, folder: Path, say: Say) -> str:
    """Take a new person from nothing to a verified login; returns the subject_ref."""
    name = f"person{len(demo.phones) + 1}@example.org"
    manager, app = Api(http, demo.manage_key), Api(http, demo.application_key)
    subject_ref = await manager.subject(name)
    say(f"a new person: {name}")
    await _until_decided(app, name, "enroll")
    say("the application asks for a decision: [bold]enroll[/]")
    phone = await _enroll(app, name, folder=folder, say=say)
    await _until_decided(app, name, "challenge")
    say("the application asks again: [bold]challenge[/]")
    await _log_in(app, phone, say=say)
    demo.phones.append(phone)
    return subject_ref


async def log_in_again(http: httpx2.AsyncClient, demo: Demo, *, say: Say) -> None:
    """Log a person of an earlier run in, to show that the data is still there."""
    if not demo.phones:
        return
    known, app = demo.phones[-1], Api(http, demo.application_key)
    await _until_decided(app, known.subject, "challenge")
    say(f"{known.subject} of an earlier run is still enrolled: [bold]challenge[/]")
    code = await known.next_code(say)
    answer = await app.post("/v1/verify", {"subject": known.subject, "code": code}, expect=200)
    say(f"code {code}: [bold green]{answer['outcome']}[/]")


async def events_about(
    kafka: str, *, tenant: str, subject_ref: str, since: datetime
) -> list[CloudEvent]:
    """Read back from Kafka what was announced about a person, until the notice was sent."""
    found: list[CloudEvent] = []
    settings = KafkaSettings(bootstrap=kafka, client_id="demo")
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            async for record in read_topic(settings, "mfa.events", start=since, follow=True):
                event = parse(record.value)
                if str(event.tenant) == tenant and event.subject == subject_ref:
                    found.append(event)
                    if Counter(_EXPECTED) <= Counter(one.type for one in found):
                        break
    except TimeoutError:
        seen = ", ".join(event.type for event in found)
        raise DemoFailed(f"not all events came; seen: {seen}") from None
    return found


async def _enroll(app: Api, name: str, *, folder: Path, say: Say) -> Phone:
    body: dict[str, object] = {"subject": name, "factor": "totp", "name": "Demo phone"}
    started = await app.post("/v1/enrollments", body, expect=201)
    picture = b64decode(str(started["qr_png"]).removeprefix("data:image/png;base64,"))
    # The picture is the secret: touch alone would leave the mode of an earlier run's file.
    (folder / "qr.png").touch()
    (folder / "qr.png").chmod(0o600)
    (folder / "qr.png").write_bytes(picture)
    say(f"enrollment started; QR code in {folder / 'qr.png'}, key to retype {started['key']}")
    phone = Phone(subject=name, otpauth=_scan(picture), used=0)
    if phone.totp.secret != str(started["key"]).replace(" ", ""):
        raise DemoFailed("the QR code and the key to retype differ")
    say("the QR code was read back with a decoder; the code comes from pyotp")
    code = phone.code()
    path = f"/v1/enrollments/{started['enrollment_id']}/confirmation"
    confirmed = await app.post(path, {"code": code}, expect=200)
    say(f"code {code} confirms the enrollment: authenticator {confirmed['authenticator_id']}")
    key = await app.post("/v1/recovery-keys", {"ticket": confirmed["recovery_ticket"]}, expect=201)
    acknowledgement = f"/v1/recovery-keys/{key['recovery_key_id']}/acknowledgement"
    await app.post(acknowledgement, {"generation": key["generation"]}, expect=200)
    say(f"recovery key, shown once: [bold]{key['recovery_key']}[/]")
    return phone


async def _log_in(app: Api, phone: Phone, *, say: Say) -> None:
    code = await phone.next_code(say)
    body: dict[str, object] = {"subject": phone.subject, "code": code}
    accepted = await app.post("/v1/verify", body, expect=200)
    say(f"code {code}: [bold green]{accepted['outcome']}[/], event {accepted['event_id']}")
    again = await app.post("/v1/verify", body, expect=403)
    say(f"the same code again: [bold red]refused[/] ({again['code']})")
    wrong = await app.post("/v1/verify", body | {"code": _wrong_code(phone)}, expect=403)
    say(f"a wrong code: [bold red]refused[/] ({wrong['code']})")


async def _until_decided(app: Api, name: str, wanted: str) -> None:
    """Ask until what was just said has reached verification's own copies (over Kafka)."""
    decision: object = None
    deadline = datetime.now(UTC) + _PATIENCE
    while datetime.now(UTC) < deadline:
        decision = (await _decision(app, name)).get("decision")
        if decision == wanted:
            return
        await asyncio.sleep(0.05)
    raise DemoFailed(f"the decision stayed {decision}, expected {wanted}")


async def _decision(app: Api, name: str) -> dict[str, object]:
    try:
        return await app.post("/v1/decisions", {"subject": name}, expect=200)
    except DemoFailed:
        return {}


def _scan(picture: bytes) -> str:
    # Of other kinds of codes, one can be seen by chance in the pattern of a QR code.
    image, kind = (
        Image.open(io.BytesIO(picture)),
        zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode),
    )
    codes = zxingcpp.read_barcodes(image, formats=kind)
    if len(codes) != 1:
        raise DemoFailed(f"{len(codes)} QR codes in the picture instead of one")
    return str(codes[0].text)


def _wrong_code(phone: Phone) -> str:
    right = {phone.totp.generate_otp(phone.used + step) for step in range(-3, 4)}
    return next(code for digit in "0123456789" if (code := digit * 6) not in right)
