"""A PostgreSQL with a standby, which can be promoted."""

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.local.ports import free_port
from deploy.local.postgres import Postgres
from deploy.local.postgres_place import find_place
from deploy.local.process import clean_environment, private_file, to_the_end
from tests.fixtures.servers import RunningServers
from tests.integration.messaging.bench import until


@dataclass(frozen=True)
class Two(RunningServers):
    """Makes DSNs with both servers; whichever takes writes is meant."""

    other_port: int = 0

    def dsn(
        self, database: str = "postgres", user: str = "postgres", password: str | None = None
    ) -> str:
        """Return a connection string; without a password, that of the superuser."""
        one = super().dsn(database, user, password)
        mine, both = (
            f":{self.postgres_port}",
            f":{self.postgres_port},127.0.0.1:{self.other_port}",
        )
        return f"{one.replace(mine, both)}?target_session_attrs=read-write"


@dataclass
class Pair:
    """A primary and its standby."""

    folder: Path
    primary: Postgres
    standby: Postgres

    @property
    def place(self) -> Two:
        """Return what makes DSNs."""
        data = str(self.folder / "one")
        return Two(self.primary.port, data, valkey_url="", kafka="", other_port=self.standby.port)

    async def caught_up(self) -> None:
        """Wait until the standby has everything."""

        async def level() -> bool:
            rows = await on(
                self.primary,
                "SELECT replay_lsn = pg_current_wal_lsn() FROM pg_stat_replication",
            )
            return [row[0] for row in rows] == [True]

        await until(level)

    async def stall(self) -> None:
        """Let nothing more reach the standby."""
        await on(self.standby, "ALTER SYSTEM SET primary_conninfo = ''")
        await on(self.standby, "SELECT pg_reload_conf()")

        async def is_cut_off() -> bool:
            return not await on(self.primary, "SELECT 1 FROM pg_stat_replication")

        await until(is_cut_off)

    async def make_synchronous(self) -> None:
        """Have every commit wait for the standby."""
        await on(self.primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        await on(self.primary, "SELECT pg_reload_conf()")

        async def is_synchronous() -> bool:
            rows = await on(self.primary, "SELECT sync_state FROM pg_stat_replication")
            return [row[0] for row in rows] == ["sync"]

        await until(is_synchronous)

    async def fail_over(self) -> None:
        """Kill the primary and promote the standby; there is no standby then."""
        await self.primary.kill()
        # Nobody would ever answer it.
        await on(self.standby, "ALTER SYSTEM RESET synchronous_standby_names")
        await on(self.standby, "SELECT pg_reload_conf()")
        await on(self.standby, "SELECT pg_promote()")
        self.primary, self.standby = self.standby, self.primary

    async def new_standby(self) -> None:
        """Make what was killed the standby of what was promoted."""
        old = self.standby
        old.delete_data()
        await copy(self.primary, old)
        await old.start()


@asynccontextmanager
async def pair(folder: Path) -> AsyncIterator[Pair]:
    """Start a primary and an asynchronous standby."""
    one = Postgres(folder / "one", port=free_port())
    two = Postgres(folder / "two", port=free_port())
    made = Pair(folder, one, two)
    await one.start()
    try:
        await copy(one, two)
        await two.start()
        yield made
    finally:
        for server in (one, two):
            await server.stop()
            server.delete_data()


async def copy(primary: Postgres, standby: Postgres) -> None:
    """Make the standby's cluster from the running primary."""
    await to_the_end(_copy, primary, standby)


def _copy(primary: Postgres, standby: Postgres) -> None:
    private_file(standby._data / "superuser.password", primary.password)
    place = find_place(standby._data)
    account = place.account
    subprocess.run(
        [
            str(place.programs / "pg_basebackup"),
            f"--pgdata={place.cluster}",
            f"--dbname={primary.dsn()}",
            *("--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf"),
        ],
        cwd="/",
        env=clean_environment({}),
        user=account.user if account else None,
        group=account.group if account else None,
        extra_groups=[] if account else None,
        check=True,
        capture_output=True,
    )


async def on(server: Postgres, statement: str) -> list[asyncpg.Record]:
    """Run a statement on this one, as superuser."""
    connection = await asyncpg.connect(server.dsn(), timeout=5)
    try:
        await connection.execute("SET default_transaction_read_only = off")
        return list(await connection.fetch(statement))
    finally:
        await connection.close()
