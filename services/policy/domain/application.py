"""An application and its keys: how many there may be, and whose they are."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from contracts.passkeys import PasskeyParty
from contracts.roles import Role
from contracts.vocabulary import KeyMode, Scope
from services.policy.domain.owners import Owners, refusal_without
from services.policy.domain.refusals import Refusal

# The old one and the new one, so that a key can be changed without a moment without any.
KEYS_IN_FORCE = 2
_REVOKED_SHOWN = 20


@dataclass(frozen=True)
class Key:
    """A key of an application, or of the person who is its `holder`, whoever knows it."""

    key_id: UUID
    digest: str = field(repr=False)
    scopes: frozenset[Scope]
    mode: KeyMode
    revoked: bool
    role: Role = Role.APPLICATION
    holder: UUID | None = None


@dataclass(frozen=True)
class Application:
    """An application of a tenant; `version` grows with every change."""

    application_id: UUID
    name: str
    version: int
    created: datetime
    keys: tuple[Key, ...]
    passkeys: PasskeyParty | None = None

    @property
    def asks(self) -> bool:
        """Tell whether people log in here: a key in force may verify."""
        return any(Scope.VERIFY in key.scopes and not key.revoked for key in self.keys)


def new_application(
    application_id: UUID, *, name: str, first_key: Key, now: datetime
) -> Application:
    """Return an application with its first key."""
    return Application(application_id, name=name, version=1, created=now, keys=(first_key,))


def with_key(application: Application, key: Key) -> Application | Refusal:
    """Add a key, unless its holder has as many of its mode in force as there may be."""
    rivals = [one for one in application.keys if one.mode == key.mode and not one.revoked]
    if len([one for one in rivals if one.holder == key.holder]) >= KEYS_IN_FORCE:
        return Refusal.TOO_MANY_KEYS
    return replace(application, version=application.version + 1, keys=(*application.keys, key))


def without_key(
    application: Application, key_id: UUID, *, owners: Owners, by_owner: bool
) -> Application | Refusal:
    """Revoke a key; `owners` are the tenant's, of whom enough have to stay.

    Revoking again changes nothing and returns the application itself.
    """
    key = next((one for one in application.keys if one.key_id == key_id), None)
    if key is None:
        return Refusal.UNKNOWN
    if key.role is Role.OWNER and not by_owner:
        return Refusal.OWNER_NEEDED
    if key.revoked:
        return application
    refusal = refusal_without(owners, frozenset({key_id}))
    return refusal or _revoked(application, frozenset({key_id}))


def with_passkeys(application: Application, party: PasskeyParty | None) -> Application:
    """Return the version that uses passkeys there, or none: the same one where it already does."""
    if party == application.passkeys:
        return application
    return replace(application, version=application.version + 1, passkeys=party)


def published_keys(application: Application) -> tuple[Key, ...]:
    """Return the keys in force, and the newest of those that are not any more."""
    revoked = [key for key in application.keys if key.revoked][-_REVOKED_SHOWN:]
    return tuple(key for key in application.keys if not key.revoked or key in revoked)


def without_holder(application: Application, holder: UUID) -> Application:
    """Revoke what a person holds who goes; whoever may do so was asked before."""
    return _revoked(application, keys_of(application, holder))


def keys_of(application: Application, holder: UUID) -> frozenset[UUID]:
    """Return the keys in force that a person holds."""
    held = (one for one in application.keys if one.holder == holder and not one.revoked)
    return frozenset(one.key_id for one in held)


def _revoked(application: Application, gone: frozenset[UUID]) -> Application:
    keys = tuple(
        replace(one, revoked=True) if one.key_id in gone else one for one in application.keys
    )
    return replace(application, version=application.version + 1, keys=keys)
