"""A token that the tenant has bought, before somebody has it and after."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from contracts.vocabulary import Algorithm, Factor


class TokenStatus(StrEnum):
    """Whether it waits for somebody."""

    IN_STOCK = "in_stock"
    ASSIGNED = "assigned"


@dataclass(frozen=True)
class HardwareToken:
    """One token; `period` is totp's, `counter` hotp's: that of the next code."""

    token_id: UUID
    serial: str
    factor: Factor
    algorithm: Algorithm
    digits: int
    period: int | None
    counter: int | None
    status: TokenStatus
    authenticator_id: UUID | None
    added: datetime
