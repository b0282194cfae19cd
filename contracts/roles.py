"""What the holder of a key may do: the role is in the key, and what a role may is written here."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from contracts.vocabulary import Scope


class Role(StrEnum):
    """Whose key it is; every role but the last is a person's (requirement C1)."""

    OWNER = "owner"
    ADMINISTRATOR = "administrator"
    SERVICE_DESK = "service_desk"
    AUDITOR = "auditor"
    APPLICATION = "application"


class Right(StrEnum):
    """What no scope of an application gives.

    own: to say what is required of whom, and who else owns the tenant. support: to help one person
    at a time. read: to see how the tenant is set up, and what was done to it.
    """

    OWN = "own"
    SUPPORT = "support"
    READ = "read"


SCOPES: Mapping[Role, frozenset[Scope]] = {
    Role.OWNER: frozenset({Scope.MANAGE}),
    Role.ADMINISTRATOR: frozenset({Scope.MANAGE}),
    Role.SERVICE_DESK: frozenset(),
    Role.AUDITOR: frozenset(),
}
"""The scopes that a person's key has by its role; an application's are chosen."""

_OF_ROLE: Mapping[Role, frozenset[Right]] = {
    Role.OWNER: frozenset({Right.OWN}),
    Role.ADMINISTRATOR: frozenset(),
    Role.SERVICE_DESK: frozenset({Right.SUPPORT}),
    Role.AUDITOR: frozenset({Right.READ}),
    Role.APPLICATION: frozenset(),
}


def rights_of(role: Role, scopes: Iterable[Scope]) -> frozenset[str]:
    """Return what a key may do: its scopes, and the rights of its role.

    Whoever manages may help people and see everything, too.
    """
    chosen = frozenset(scopes)
    managing = {Right.SUPPORT, Right.READ} if Scope.MANAGE in chosen else frozenset()
    return chosen | _OF_ROLE[role] | managing
