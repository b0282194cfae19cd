"""A mail server that delivers nothing: it keeps every mail in a folder and shows it on a page.

The telephone provider beside it does the same (deploy/local/handset.py).

python -m deploy.local.inbox --smtp-port N --http-port M --folder DIR
"""

import argparse
import asyncio
import email
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from uuid import UUID

from aiosmtpd.smtp import SMTP, Envelope, Session
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from deploy.local.handset import Handset
from libs.ids import new_id
from libs.process import Part, run_until_stopped
from libs.web.server import http_part

_HOST = "127.0.0.1"
_MOST_SHOWN = 200
_LARGEST_MAIL = 1024 * 1024
_PAGES = Path(__file__).parent / "inbox_pages"

_COMMON = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_GUARD = (
    "default-src 'none'; style-src 'nonce-{nonce}'; frame-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
# What a mail says is shown without scripts, addresses of others, or an origin of its own.
_SANDBOX = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'self'"
)


@dataclass(frozen=True)
class Mail:
    """One mail, as the JSON answer has it."""

    id: str
    to: str
    sender: str
    subject: str
    received: str
    text: str
    message_id: str

    def as_json(self) -> dict[str, str]:
        """Return it under the names that a mail has."""
        return {"from" if name == "sender" else name: text for name, text in asdict(self).items()}


class Folder:
    """The mails, one file each; the name is the time it came and the id in one (UUIDv7)."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = path

    def keep(self, content: bytes) -> None:
        """Store a mail; it is never seen half written."""
        file = self._path / f"{new_id()}.eml"
        draft = file.with_suffix(".draft")
        draft.write_bytes(content)
        draft.replace(file)

    def newest(self) -> Sequence[Mail]:
        """Return the mails, newest first."""
        names = sorted((file.stem for file in self._path.glob("*.eml")), reverse=True)
        found = (self.find(name) for name in names[:_MOST_SHOWN])
        return [mail for mail in found if mail is not None]

    def find(self, name: str) -> Mail | None:
        """Return one mail."""
        parsed = self._parsed(name)
        if parsed is None:
            return None
        return Mail(
            id=name,
            to=str(parsed["To"] or ""),
            sender=str(parsed["From"] or ""),
            subject=str(parsed["Subject"] or ""),
            received=_received(name).isoformat(timespec="seconds"),
            text=_part(parsed, "plain") or "",
            message_id=str(parsed["Message-ID"] or ""),
        )

    def html_of(self, name: str) -> str | None:
        """Return the HTML part of a mail."""
        parsed = self._parsed(name)
        return None if parsed is None else _part(parsed, "html")

    def _parsed(self, name: str) -> EmailMessage | None:
        try:
            # Only an id of ours is looked for: a name cannot leave the folder.
            file = self._path / f"{UUID(name)}.eml"
            return email.message_from_bytes(file.read_bytes(), policy=default)
        except (ValueError, FileNotFoundError):
            return None


class Keeper:
    """What aiosmtpd calls."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Take a mail."""
        content = envelope.content
        if not isinstance(content, bytes):
            return "554 no content"
        await asyncio.to_thread(self._folder.keep, content)
        return "250 kept"


class Pages:
    """What a browser and a test see."""

    def __init__(self, folder: Folder, handset: Handset) -> None:
        self._folder = folder
        self._handset = handset
        self._templates = Environment(
            loader=FileSystemLoader(_PAGES),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def app(self) -> Starlette:
        """Put them at their paths."""
        return Starlette(
            routes=[
                Route("/", self._list),
                Route("/mails/{name}", self._mail),
                Route("/mails/{name}/html", self._html_part),
                Route("/messages", self._list_as_json),
                Route("/messages/{name}", self._mail_as_json),
                *self._handset.routes(),
                Route("/health/ready", lambda _: JSONResponse({"ready": True})),
            ],
            # A web site that points a name of its own at this machine must not read the mails.
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[_HOST, "localhost"])],
        )

    def _list(self, _request: Request) -> Response:
        return self._page("list.html", mails=self._folder.newest(), phones=self._handset.newest())

    def _mail(self, request: Request) -> Response:
        name = request.path_params["name"]
        mail = self._folder.find(name)
        if mail is None:
            return PlainTextResponse("There is no such mail.", 404)
        return self._page("mail.html", mail=mail, has_html=self._folder.html_of(name) is not None)

    def _html_part(self, request: Request) -> Response:
        html = self._folder.html_of(request.path_params["name"])
        if html is None:
            return PlainTextResponse("This mail has no HTML part.", 404)
        return HTMLResponse(html, headers=_COMMON | {"Content-Security-Policy": _SANDBOX})

    def _list_as_json(self, _request: Request) -> Response:
        return JSONResponse([mail.as_json() for mail in self._folder.newest()])

    def _mail_as_json(self, request: Request) -> Response:
        mail = self._folder.find(request.path_params["name"])
        if mail is None:
            return JSONResponse({"code": "not_found", "status": 404}, 404)
        return JSONResponse(mail.as_json())

    def _page(self, template: str, **values: object) -> Response:
        nonce = secrets.token_urlsafe(16)
        text = self._templates.get_template(template).render(nonce=nonce, **values)
        policy = _GUARD.format(nonce=nonce)
        return HTMLResponse(text, headers=_COMMON | {"Content-Security-Policy": policy})


def smtp_part(folder: Folder, *, port: int) -> Part:
    """Return the part that takes mail."""

    async def serve(stop: asyncio.Event) -> None:
        loop, keeper = asyncio.get_running_loop(), Keeper(folder)

        def connected() -> asyncio.Protocol:
            protocol: asyncio.Protocol = SMTP(
                keeper,
                hostname="inbox",
                loop=loop,
                data_size_limit=_LARGEST_MAIL,
                enable_SMTPUTF8=True,
            )
            return protocol

        server = await loop.create_server(connected, _HOST, port)
        try:
            await stop.wait()
        finally:
            server.close()

    return serve


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.inbox", description=__doc__)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    folder, handset = Folder(chosen.folder), Handset(chosen.folder / "handset")
    parts = [
        smtp_part(folder, port=chosen.smtp_port),
        http_part(Pages(folder, handset).app(), host=_HOST, port=chosen.http_port),
    ]
    asyncio.run(run_until_stopped(parts))


def _received(name: str) -> datetime:
    return datetime.fromtimestamp((UUID(name).int >> 80) / 1000, UTC)


def _part(mail: EmailMessage, subtype: str) -> str | None:
    body = mail.get_body((subtype,))
    if body is None:
        return None
    payload = body.get_payload(decode=True)
    # Whatever it claims to be: a mail that is badly made is still shown.
    text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
    return text.replace("\r\n", "\n")


if __name__ == "__main__":
    main()
