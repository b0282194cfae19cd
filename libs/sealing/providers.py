"""Who wraps data keys: a key file, or Vault; a wrapped key says who did, so that one can move."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from libs.sealing.trouble import KeyRefused


@dataclass(frozen=True)
class Wrapped:
    """A wrapped data key, who wrapped it and under which version of that one's key."""

    provider: str
    version: int
    value: bytes = field(repr=False)


class KeyProvider(Protocol):
    """Holds a key-encryption key in versions; every call may raise KeysUnavailable or KeyRefused.

    `place` is what a data key is for: a wrapped key opens in no other.
    """

    @property
    def name(self) -> str:
        """Return what stands in wrapped keys."""
        ...

    async def newest_version(self) -> int:
        """Return the version that wraps."""
        ...

    async def wrap(self, key: bytes, *, place: Sequence[str]) -> Wrapped:
        """Return the key, wrapped under the newest version."""
        ...

    async def unwrap(self, wrapped: Wrapped, *, place: Sequence[str]) -> bytes:
        """Return the key, whatever version wrapped it."""
        ...


class MovingProviders:
    """Wraps with one provider, and opens what others wrapped before: for moving between them."""

    def __init__(self, wraps: KeyProvider, opens: Sequence[KeyProvider]) -> None:
        self._wraps = wraps
        self._all: Mapping[str, KeyProvider] = {one.name: one for one in (*opens, wraps)}

    @property
    def name(self) -> str:
        """Return who wraps."""
        return self._wraps.name

    async def newest_version(self) -> int:
        """Return the version of the one that wraps."""
        return await self._wraps.newest_version()

    async def wrap(self, key: bytes, *, place: Sequence[str]) -> Wrapped:
        """Return the key, wrapped by the one that wraps."""
        return await self._wraps.wrap(key, place=place)

    async def unwrap(self, wrapped: Wrapped, *, place: Sequence[str]) -> bytes:
        """Return the key, by whomever it was wrapped."""
        provider = self._all.get(wrapped.provider)
        if provider is None:
            raise KeyRefused(f"wrapped by {wrapped.provider}, which is not set up here")
        return await provider.unwrap(wrapped, place=place)


def refuse_foreign(wrapped: Wrapped, name: str) -> None:
    """Raise KeyRefused where somebody else has wrapped the key."""
    if wrapped.provider != name:
        raise KeyRefused(f"wrapped by {wrapped.provider}, and only {name} is set up here")
