"""Remember a device after an accepted code, know it again, forget it (requirement D5)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from contracts.topics import EVENTS
from contracts.verification import ForgottenBecause
from libs.clock import Clock
from libs.messaging.outbox import announce
from libs.postgres.pool import Connection, Pool, tenant_transaction
from libs.sealing.data_keys import DataKeys
from services.verification import announcements
from services.verification.domain.decision import asked
from services.verification.domain.device import Believed, Token, is_genuine, judge, read, written
from services.verification.domain.outcome import Accepted
from services.verification.domain.places import DEVICE, LOOKUP
from services.verification.domain.subjects import lookup_digest
from services.verification.store import devices as store
from services.verification.store.policies import policy_of
from services.verification.store.subjects import attributes_of, lock_subject


@dataclass(frozen=True)
class Shown:
    """A token that this tenant's key has made, and that key."""

    token: Token
    key: bytes


@dataclass(frozen=True)
class Kept:
    """What a device is to keep from now on."""

    device_id: UUID
    token: str
    expires: datetime


@dataclass(frozen=True)
class Devices:
    """The devices of one tenant's subjects, each known to one application.

    Remembered for `remember_for`, unless a rule says how long. Where that is nothing, no device is
    remembered, and none is known any more, whatever rules say.
    """

    pool: Pool
    data_keys: DataKeys
    clock: Clock
    remember_for: timedelta

    async def remember(self, accepted: Accepted, *, tenant: UUID, application: UUID) -> Kept | None:
        """Remember the device of an accepted code; None where the authenticator is gone already.

        The outcome's event gives the device its id: a repeat finds the device that is there.
        """
        key = await self.data_keys.newest(tenant=tenant, purpose=DEVICE)
        device = store.StoredDevice(
            device_id=accepted.event_id,
            application_id=application,
            key_version=key.version,
            generation=1,
            remembered_at=accepted.at,
            rotated_at=accepted.at,
            # Set below, by the rules for whoever it is.
            expires=accepted.at,
        )
        async with tenant_transaction(self.pool, tenant) as tx:
            await self._add(tx, tenant, device, authenticator_id=accepted.authenticator_id)
            stored = await store.first_answer(tx, device.device_id)
        if stored is None:
            return None
        key = await self.data_keys.version(
            tenant=tenant, purpose=DEVICE, version=stored.key_version
        )
        return _kept(stored, 1, key.key)

    async def shown(self, tenant: UUID, text: str) -> Shown | None:
        """Return what a text shows, or None where nobody of this tenant can have been given it."""
        token = read(text)
        if token is None:
            return None
        try:
            key = await self.data_keys.version(
                tenant=tenant, purpose=DEVICE, version=token.key_version
            )
        except LookupError:
            return None
        return Shown(token, key.key) if is_genuine(text, token, key.key) else None

    async def known(
        self,
        tx: Connection,
        shown: Shown,
        *,
        tenant: UUID,
        application: UUID,
        lookup: bytes,
        factors: Sequence[str],
    ) -> Kept | None:
        """Return the next token where the device is remembered; a spent one drops the device.

        One that is trusted on the word of a factor that is none of `factors` does not count.
        """
        subject = await store.subject_of_name(tx, lookup)
        if subject is None:
            return None
        await lock_subject(tx, tenant, subject)
        # A clock that is behind would know a device, or a spent token, for too long.
        now = await store.later_of(tx, self.clock())
        remembered = await self._remembered(tx, tenant, subject, application, now=now)
        device = next((one for one in remembered if one.device_id == shown.token.device_id), None)
        if device is None:
            return None
        believed = judge(
            shown.token.generation, device.generation, rotated_at=device.rotated_at, now=now
        )
        if believed is Believed.STOLEN:
            await self._forget(tx, tenant, subject, device.device_id, ForgottenBecause.THEFT)
            return None
        if device.factor not in factors:
            return None
        return await _next(tx, device, believed, key=shown.key, now=now)

    async def of_subject(
        self, tenant: UUID, name: str, *, application: UUID | None
    ) -> Sequence[store.StoredDevice]:
        """Return the devices by which an application, or any, knows somebody.

        A stranger has none.
        """
        key = await self.data_keys.newest(tenant=tenant, purpose=LOOKUP)
        async with tenant_transaction(self.pool, tenant) as tx:
            subject = await store.subject_of_name(tx, lookup_digest(key.key, name))
            if subject is None:
                return ()
            asking = [application] if application else await store.applications_of(tx, subject)
            found: list[store.StoredDevice] = []
            for one in asking:
                found += await self._remembered(tx, tenant, subject, one, now=self.clock())
        return found

    async def forget(self, tenant: UUID, device_id: UUID, *, application: UUID | None) -> bool:
        """Forget one device; False where the application, or any, remembers none of this id."""
        async with tenant_transaction(self.pool, tenant) as tx:
            subject = await store.subject_of_device(tx, device_id, application=application)
            if subject is None:
                return False
            await lock_subject(tx, tenant, subject)
            return await self._forget(tx, tenant, subject, device_id, ForgottenBecause.REVOKED)

    async def _add(
        self, tx: Connection, tenant: UUID, device: store.StoredDevice, *, authenticator_id: UUID
    ) -> None:
        subject = await store.subject_of_authenticator(tx, authenticator_id)
        if subject is None:
            return
        # A removal that is under way ends first, and then there is nothing to remember.
        await lock_subject(tx, tenant, subject)
        at = device.remembered_at
        longest = await self._longest(
            tx, tenant, subject, application=device.application_id, now=at
        )
        if not longest:
            return
        device = replace(device, expires=at + longest)
        if await store.add(tx, tenant, subject, device=device, authenticator_id=authenticator_id):
            event = announcements.device_remembered(
                tenant=tenant,
                subject_ref=subject,
                application_id=device.application_id,
                device_id=device.device_id,
                expires=device.expires,
                now=self.clock(),
            )
            await announce(tx, topic=EVENTS.name, event=event)

    async def _remembered(
        self, tx: Connection, tenant: UUID, subject: UUID, application: UUID, *, now: datetime
    ) -> Sequence[store.StoredDevice]:
        longest = await self._longest(tx, tenant, subject, application=application, now=now)
        return await store.remembered(
            tx, subject, application=application, now=now, longest=longest
        )

    async def _longest(
        self, tx: Connection, tenant: UUID, subject: UUID, *, application: UUID, now: datetime
    ) -> timedelta:
        """Return for how long a device of this person is remembered, by the rules of now."""
        policy = await policy_of(tx, tenant, application)
        if policy is None or not self.remember_for:
            return self.remember_for
        login = (await attributes_of(tx, subject)).of(application, subject)
        days = asked(policy, login, now).remember_days
        return self.remember_for if days is None else timedelta(days=days)

    async def _forget(
        self, tx: Connection, tenant: UUID, subject: UUID, device_id: UUID, why: ForgottenBecause
    ) -> bool:
        application = await store.forget(tx, device_id, now=self.clock())
        if application is None:
            return False
        event = announcements.device_forgotten(
            tenant=tenant,
            subject_ref=subject,
            application_id=application,
            device_id=device_id,
            reason=why,
            now=self.clock(),
        )
        await announce(tx, topic=EVENTS.name, event=event)
        return True


async def forget_devices(
    tx: Connection, *, tenant: UUID, subject: UUID, why: ForgottenBecause, now: datetime
) -> None:
    """Forget all devices of a locked subject, in the transaction of what ends them."""
    for device_id, application in await store.forget_all(tx, subject, now=now):
        event = announcements.device_forgotten(
            tenant=tenant,
            subject_ref=subject,
            application_id=application,
            device_id=device_id,
            reason=why,
            now=now,
        )
        await announce(tx, topic=EVENTS.name, event=event)


async def _next(
    tx: Connection, device: store.StoredDevice, believed: Believed, *, key: bytes, now: datetime
) -> Kept | None:
    match believed:
        case Believed.CURRENT:
            await store.rotate(tx, device.device_id, now=now)
            return _kept(device, device.generation + 1, key)
        case Believed.JUST_SPENT:
            return _kept(device, device.generation, key)
        case _:
            return None


def _kept(device: store.StoredDevice, generation: int, key: bytes) -> Kept:
    token = Token(device.device_id, device.key_version, generation)
    return Kept(device.device_id, written(token, key), device.expires)
