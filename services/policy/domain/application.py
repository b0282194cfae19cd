"""An application and its keys: how many there may be, and which must stay."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from contracts.vocabulary import KeyMode, Scope
from services.policy.domain.refusals import Refusal

# The old one and the new one, so that a key can be changed without a moment without any.
KEYS_IN_FORCE = 2


@dataclass(frozen=True)
class Key:
    """A key of an application; the key itself is known to nobody but its holder."""

    key_id: UUID
    digest: str = field(repr=False)
    scopes: frozenset[Scope]
    mode: KeyMode
    revoked: bool


@dataclass(frozen=True)
class Application:
    """An application of a tenant; `version` grows with every change."""

    application_id: UUID
    name: str
    version: int
    created: datetime
    keys: tuple[Key, ...]

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
    """Add a key, unless there are as many of its mode in force as there may be."""
    rivals = [one for one in application.keys if one.mode == key.mode and not one.revoked]
    if len(rivals) >= KEYS_IN_FORCE:
        return Refusal.TOO_MANY_KEYS
    return replace(application, version=application.version + 1, keys=(*application.keys, key))


def without_key(
    application: Application, key_id: UUID, *, manage_keys: frozenset[UUID]
) -> Application | Refusal:
    """Revoke a key; `manage_keys` are the tenant's in force, of which one has to stay.

    Revoking again changes nothing and returns the application itself.
    """
    key = next((one for one in application.keys if one.key_id == key_id), None)
    if key is None:
        return Refusal.UNKNOWN
    if key.revoked:
        return application
    if manage_keys == {key_id}:
        return Refusal.LAST_MANAGE_KEY
    keys = tuple(
        replace(one, revoked=True) if one.key_id == key_id else one for one in application.keys
    )
    return replace(application, version=application.version + 1, keys=keys)
