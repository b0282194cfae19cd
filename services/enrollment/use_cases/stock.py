"""A token in stock becomes somebody's, once they have proved to have it."""

from dataclasses import dataclass
from uuid import UUID

from contracts.vocabulary import Factor
from libs.postgres.pool import Connection, Pool, tenant_transaction
from services.enrollment.domain.enrollment import Enrollment
from services.enrollment.domain.hardware_token import TokenStatus
from services.enrollment.domain.parameters import Columns, parameters_of
from services.enrollment.domain.refusals import Refusal
from services.enrollment.domain.wishes import Begun
from services.enrollment.store.hardware_tokens import (
    StoredToken,
    find_stored,
    lock_by_id,
    save_assigned,
)
from services.enrollment.use_cases.token_seals import TokenSeals


@dataclass(frozen=True)
class Stock:
    """The tenant's tokens that wait for somebody."""

    pool: Pool
    seals: TokenSeals

    async def begin(self, tenant: UUID, serial: str, factor: Factor) -> Begun | Refusal:
        """Return what is to be confirmed of a token: several people may try, one has it."""
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await find_stored(tx, serial)
        if found is None or found.token.factor is not factor:
            return Refusal.TOKEN_UNKNOWN
        if found.sealed is None:
            return Refusal.TOKEN_ASSIGNED
        token = found.token
        secret = await self.seals.open_token(
            tenant, token.token_id, factor=factor, sealed=found.sealed
        )
        parameters = parameters_of(_columns(found))
        return Begun(secret, parameters, token.token_id)


async def take_from_stock(tx: Connection, about: Enrollment) -> Refusal | None:
    """Give the token of a confirmed enrollment away; None where it has none, or nobody has it."""
    if about.token_id is None:
        return None
    token = await lock_by_id(tx, about.token_id)
    if token is None or token.status is not TokenStatus.IN_STOCK:
        return Refusal.TOKEN_ASSIGNED
    await save_assigned(tx, about.token_id, about.authenticator_id)
    return None


def _columns(found: StoredToken) -> Columns:
    token = found.token
    return Columns(token.algorithm, token.digits, period=token.period, counter=token.counter)
