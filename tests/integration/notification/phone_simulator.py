"""A telephone provider that answers what a test wants, or nothing at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from deploy.local.ports import free_port

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Asked:
    """One request: where, and its form."""

    path: str
    form: dict[str, str]


@dataclass
class PhoneSimulator:
    """Listens on a port of its own; status 0 hangs up without an answer."""

    status: int = 201
    asked: list[Asked] = field(default_factory=list)
    held: asyncio.Event | None = None
    began: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = field(default_factory=free_port)
    _server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen for a while."""
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        try:
            yield
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(_HEAD_END)).decode()
        lines = head.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
        self.asked.append(Asked(lines[0].split(" ")[1], dict(parse_qsl(body.decode()))))
        self.began.set()
        if self.held is not None:
            await self.held.wait()
        if self.status:
            head = f"HTTP/1.1 {self.status} X\r\nContent-Length: 2\r\nConnection: close"
            writer.write(f"{head}\r\n\r\n{{}}".encode())
        writer.close()
