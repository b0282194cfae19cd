"""A mail server that speaks the real protocol, fails as it is told, and remembers what it took."""

import asyncio
import email
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage

HANG_UP = "hang up"


@dataclass(frozen=True)
class Delivered:
    """A mail that the server took and would deliver."""

    recipient: str
    mail: EmailMessage

    @property
    def message_id(self) -> str:
        """Return the id that the sender gave it."""
        return str(self.mail["Message-ID"])


@dataclass
class SmtpSimulator:
    """Each reply may be changed at any time; HANG_UP closes the connection instead.

    `before` is awaited at a stage, so that a test can hold the server there or do something
    meanwhile. A content is `delivered` when its last dot has come, unless the verdict refuses it:
    whether the sender hears of it makes no difference, as in real life.
    """

    greeting: str = "220 mail.example.net ready"
    hello: str = "250-mail.example.net\r\n250 8BITMIME"
    mail: str = "250 sender ok"
    rcpt: str = "250 recipient ok"
    data: str = "354 go ahead"
    verdict: str = "250 taken"
    before: dict[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)
    delivered: list[Delivered] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def twice(self) -> int:
        """Return how many mails were taken more than once."""
        counts = Counter(one.message_id for one in self.delivered)
        return sum(count > 1 for count in counts.values())

    @asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
        """Listen on the port, the same one each time; with `tls` from the first byte on."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            await self._talk(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self._reply(writer, "greeting"):
            return
        recipient = ""
        while line := (await reader.readline()).decode().strip():
            self.commands.append(line)
            verb = line.partition(" ")[0].upper()
            if verb == "RCPT":
                recipient = line.partition("<")[2].partition(">")[0]
            stage = {"EHLO": "hello", "MAIL": "mail", "RCPT": "rcpt", "DATA": "data"}.get(verb, "")
            if not stage or not await self._reply(writer, stage):
                return
            if stage == "data" and self.data.startswith("354"):
                await self._take(await reader.readuntil(b"\r\n.\r\n"), recipient)
                if not await self._reply(writer, "verdict"):
                    return

    async def _take(self, content: bytes, recipient: str) -> None:
        refused = self.verdict[:1] in ("4", "5")
        if not refused:
            raw = content.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
            parsed = email.message_from_bytes(raw, policy=policy.default)
            assert isinstance(parsed, EmailMessage)
            self.delivered.append(Delivered(recipient, parsed))

    async def _reply(self, writer: asyncio.StreamWriter, stage: str) -> bool:
        if stage in self.before:
            await self.before[stage]()
        reply = str(getattr(self, stage))
        if reply == HANG_UP:
            return False
        writer.write(reply.encode() + b"\r\n")
        await writer.drain()
        return True
