"""Limits over many subjects: of a tenant, an application, a source, and what a caller names.

They slow down whoever tries one code on many people. What protects one person is the budget of
the subject (budget.py), which PostgreSQL keeps; these are in Redis only.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_DAY_SECONDS = 86_400
# What one customer's router hands out to its devices (RFC 6177): one guesser has all of it.
_IPV6_PREFIX = 64


class UnsafeLimit(Exception):  # noqa: N818
    """A limit that would never let anybody in again, or has no end."""


@dataclass(frozen=True)
class Limit:
    """So many wrong codes at once, and so many more in 24 hours."""

    at_once: int
    a_day: int

    @property
    def per_second(self) -> float:
        """Return how fast the bucket empties."""
        return self.a_day / _DAY_SECONDS


@dataclass(frozen=True)
class Limits:
    """The operator's limits."""

    tenant: Limit
    application: Limit
    source: Limit


def limit_of(guesses: int, seconds: int) -> Limit:
    """Return a caller's own limit: so many wrong codes in so many seconds."""
    return Limit(guesses, max(1, guesses * _DAY_SECONDS // seconds))


def refuse_unsafe(limits: Limits) -> None:
    """Raise UnsafeLimit where one login after another would be refused for nothing."""
    for name in ("tenant", "application", "source"):
        limit: Limit = getattr(limits, name)
        if limit.at_once < 10 or limit.a_day < limit.at_once:
            raise UnsafeLimit(f"the limit of a {name} needs 10 at once or more, and as many a day")


def place_of(source: str) -> str:
    """Return what counts as one source; raises ValueError for what is no address.

    An IPv4 address, an IPv6 network of 64 bits; an IPv4 address in IPv6 notation is the former.
    """
    address = ip_address(source)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), _IPV6_PREFIX), strict=False).network_address)
