"""One connection for one kind of statement, opened when needed and again after a failure."""

from collections.abc import Mapping

import asyncpg

from libs.postgres.failures import INFRASTRUCTURE_ERRORS
from libs.postgres.hosts import connect, each_server, takes_no_writes

_CONNECT_SECONDS = 2.0
# After these the connection is as good as before; whatever else went wrong, a new one is taken.
_HARMLESS = (
    asyncpg.exceptions.LockNotAvailableError,
    asyncpg.exceptions.NotNullViolationError,
)
FAILURES: tuple[type[Exception], ...] = (*INFRASTRUCTURE_ERRORS, asyncpg.PostgresError)


class Line:
    """A connection that mends itself; one statement at a time, which is the caller's to see to."""

    def __init__(
        self, dsn: str, *, name: str, seconds: float, server_settings: Mapping[str, str]
    ) -> None:
        self._dsn = dsn
        self._several = len(each_server(dsn)) > 1
        self._seconds = seconds
        self._settings = {"application_name": name, "jit": "off", **server_settings}
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    async def fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Run a statement; raises one of FAILURES."""
        try:
            connection = await self._open()
            return await connection.fetch(statement, *arguments)
        except _HARMLESS:
            raise
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        """Give the connection up at once; what it was doing may still happen."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def close(self) -> None:
        """Close the connection in order."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close(timeout=2)

    async def _open(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._several and self._connection is not None and takes_no_writes(self._connection):
            self.drop()
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(
                self._dsn,
                timeout=_CONNECT_SECONDS,
                command_timeout=self._seconds,
                server_settings=self._settings,
            )
        return self._connection
