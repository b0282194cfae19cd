"""Whose fault a failure is: the machinery's, so wait and try the same again, or the message's."""

import asyncpg

# TimeoutError and refused connections are OSErrors.
INFRASTRUCTURE_ERRORS = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.TransactionRollbackError,
    asyncpg.exceptions.LockNotAvailableError,
    asyncpg.exceptions.IdleInTransactionSessionTimeoutError,
    asyncpg.exceptions.ReadOnlySQLTransactionError,
    asyncpg.exceptions.PostgresSystemError,
)


class HandlerFailed(Exception):  # noqa: N818 - says what happened
    """A handler could not do its work with this message; `cause` is the name of a class."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause
