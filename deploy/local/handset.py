"""A telephone provider that delivers nothing: it keeps every text message and call, and shows them.

It speaks as much of Twilio's REST API (2010-04-01) as creating messages and calls takes.
"""

import base64
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl
from xml.etree import ElementTree

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from libs.ids import new_id

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_LONGEST = 1600
_MOST_SHOWN = 200


@dataclass(frozen=True)
class Delivered:
    """What came to a telephone: a text, or what a call said."""

    id: str
    kind: str
    to: str
    text: str
    received: str


class Handset:
    """All telephones that there are, one file for each message or call."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = path

    def routes(self) -> Sequence[Route]:
        """Return the provider's two resources, and what a test and a person look at."""
        account = "/2010-04-01/Accounts/{sid}"
        return (
            Route(f"{account}/Messages.json", self._message, methods=["POST"]),
            Route(f"{account}/Calls.json", self._call, methods=["POST"]),
            Route("/handset/messages", self._list),
        )

    def newest(self, to: str | None = None) -> list[Delivered]:
        """Return what was delivered, newest first."""
        files = sorted(self._path.glob("*.json"), reverse=True)[:_MOST_SHOWN]
        found = [Delivered(**json.loads(file.read_text())) for file in files]
        return [one for one in found if to is None or one.to == to]

    async def _message(self, request: Request) -> Response:
        form = await _form(request)
        return self._taken(request, "sms", form.get("To", ""), form.get("Body", ""))

    async def _call(self, request: Request) -> Response:
        form = await _form(request)
        try:
            spoken = ElementTree.fromstring(form.get("Twiml", ""))  # noqa: S314 - our own
        except ElementTree.ParseError:
            return _refused(12100, "Twiml is not XML")
        said = " ".join(part.text or "" for part in spoken.iter("Say"))
        return self._taken(request, "voice", form.get("To", ""), said)

    def _taken(self, request: Request, kind: str, to: str, text: str) -> Response:
        sid = request.path_params["sid"]
        if not _is_from(request, sid):
            return JSONResponse({"code": 20003, "message": "Authenticate", "status": 401}, 401)
        if not _NUMBER.fullmatch(to):
            return _refused(21211, "The 'To' number is not a valid phone number.")
        if not 1 <= len(text) <= _LONGEST:
            return _refused(21602, "Message body is required.")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._keep(Delivered(str(new_id()), kind, to, text, now))
        made = {"sid": f"{'SM' if kind == 'sms' else 'CA'}{secrets.token_hex(16)}"}
        return JSONResponse(made | {"account_sid": sid, "status": "queued", "to": to}, 201)

    def _keep(self, one: Delivered) -> None:
        file = self._path / f"{one.id}.json"
        draft = file.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(one)))
        draft.replace(file)

    def _list(self, request: Request) -> Response:
        found = self.newest(request.query_params.get("to"))
        return JSONResponse([asdict(one) for one in found])


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode()))


def _is_from(request: Request, sid: str) -> bool:
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    name, _, password = base64.b64decode(given or "").decode("latin-1").partition(":")
    return kind == "Basic" and name == sid and password != ""


def _refused(code: int, message: str) -> Response:
    return JSONResponse({"code": code, "message": message, "status": 400}, 400)
