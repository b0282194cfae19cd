"""Tokens in stock as the tenant's administrators see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from libs.postgres.pool import Connection, Pool, tenant_transaction
from services.enrollment.domain.authenticator import Status
from services.enrollment.domain.hardware_token import HardwareToken, TokenStatus
from services.enrollment.domain.import_refusals import ImportRefusal
from services.enrollment.store.authenticators import find_authenticator
from services.enrollment.store.hardware_tokens import (
    delete_token,
    find_token,
    list_tokens,
    lock_by_id,
)


@dataclass(frozen=True)
class HardwareTokens:
    """Finds tokens, and forgets those that nobody has."""

    pool: Pool

    async def with_serial(self, tenant: UUID, serial: str) -> HardwareToken | None:
        """Return the token with this serial, if the tenant has it."""
        async with tenant_transaction(self.pool, tenant) as tx:
            return await find_token(tx, serial)

    async def page(
        self, tenant: UUID, *, status: TokenStatus | None, after: str, limit: int
    ) -> Sequence[HardwareToken]:
        """Return the tokens that come after this serial."""
        async with tenant_transaction(self.pool, tenant) as tx:
            return await list_tokens(tx, status=status, after=after, limit=limit)

    async def delete(self, tenant: UUID, token_id: UUID) -> ImportRefusal | None:
        """Forget a token that nobody has (any more): only by this act a file brings it back."""
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await lock_by_id(tx, token_id)
            if found is None:
                return ImportRefusal.UNKNOWN
            if found.authenticator_id is not None and await _counts(tx, found.authenticator_id):
                return ImportRefusal.TOKEN_ASSIGNED
            await delete_token(tx, token_id)
        return None


async def _counts(tx: Connection, authenticator_id: UUID) -> bool:
    stored = await find_authenticator(tx, authenticator_id)
    return stored is not None and stored.authenticator.status is not Status.REMOVED
