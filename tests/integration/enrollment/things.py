"""What the tests of enrollment handle."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import pyotp


@dataclass(frozen=True)
class Application:
    """An application with one key."""

    tenant: UUID
    application_id: UUID
    key: str


@dataclass(frozen=True)
class Person:
    """A subject that policy knows."""

    tenant: UUID
    subject_ref: UUID
    name: str


@dataclass(frozen=True)
class Enrolling:
    """An enrollment under way, and the phone that took its key."""

    person: Person
    enrollment_id: str
    phone: pyotp.TOTP
    secret: str


@dataclass(frozen=True)
class Enrolled:
    """An authenticator, and what confirmed it."""

    person: Person
    authenticator_id: str
    ticket: str
    secret: str
    step: int


async def until(true: Callable[[], Awaitable[bool]], *, within: float = 20.0) -> None:
    """Wait for a condition, and fail when it does not come true."""
    async with asyncio.timeout(within):
        while not await true():  # noqa: ASYNC110 - what happens is in another process
            await asyncio.sleep(0.02)
