"""The keys of receipts: made, published before they sign, and kept until nothing needs them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from joserfc.jwk import OKPKey

from libs.clock import Clock
from libs.postgres.failures import INFRASTRUCTURE_ERRORS
from libs.postgres.pool import Pool, tenant_transaction
from libs.sealing.data_keys import DEPLOYMENT, DataKeys
from libs.sealing.seal import DataKey, key_version, open_seal, seal
from services.verification.domain.outcome import Accepted
from services.verification.domain.places import RECEIPT_KEY, receipt_key_place
from services.verification.domain.receipt import (
    KEPT_AFTER,
    PUBLISHED_BEFORE,
    SIGNS_FOR,
    Occasion,
    SigningKey,
    receipt_of,
)
from services.verification.store import receipt_keys as store

_READ_EVERY = timedelta(minutes=1)
# A new key signs a day after it was stored, so a copy of this age still knows who signs.
_MOST_STALE = timedelta(hours=1)


class Receipts:
    """Signs receipts; the keys are read once a minute and not at every request."""

    def __init__(self, *, pool: Pool, data_keys: DataKeys, clock: Clock, issuer: str) -> None:
        self._issuer = issuer
        self._pool = pool
        self._data_keys = data_keys
        self._clock = clock
        self._keys: Sequence[SigningKey] = ()
        self._read_at = datetime.min.replace(tzinfo=UTC)

    async def keys(self) -> Sequence[SigningKey]:
        """Return all published keys; ask before an outcome is judged, because it may fail."""
        now = self._clock()
        if now - self._read_at < _READ_EVERY:
            return self._keys
        try:
            self._keys = await self._read() or await self._first()
            self._read_at = now
        except INFRASTRUCTURE_ERRORS:
            if now - self._read_at > _MOST_STALE:
                raise
        return self._keys

    def sign(
        self,
        accepted: Accepted,
        keys: Sequence[SigningKey],
        *,
        application_id: UUID,
        subject: str,
        nonce: str,
    ) -> str:
        """Return the receipt of an outcome: for the same outcome and request the same bytes."""
        return receipt_of(accepted, Occasion(self._issuer, application_id, subject, nonce), keys)

    async def rotate(self) -> None:
        """Publish the next key where it is due, and forget those that are not needed any more."""
        now = self._clock()
        data_key = await self._data_keys.newest(tenant=DEPLOYMENT, purpose=RECEIPT_KEY)
        async with tenant_transaction(self._pool, DEPLOYMENT) as tx:
            await store.lock_keys(tx)
            stored = await store.all_keys(tx)
            if not stored:
                # Nobody can have a copy yet that lacks it.
                await store.add_key(tx, _new_key(data_key, signs_from=now))
            elif stored[-1].replace_at <= now:
                await store.add_key(tx, _new_key(data_key, signs_from=now + PUBLISHED_BEFORE))
            await store.drop_replaced(tx, now=now, kept=KEPT_AFTER)

    async def _first(self) -> Sequence[SigningKey]:
        await self.rotate()
        return await self._read()

    async def _read(self) -> Sequence[SigningKey]:
        async with tenant_transaction(self._pool, DEPLOYMENT) as tx:
            stored = await store.all_keys(tx)
        return [SigningKey(one.signs_from, await self._opened(one)) for one in stored]

    async def _opened(self, stored: store.StoredKey) -> OKPKey:
        version = key_version(stored.sealed)
        key = await self._data_keys.version(tenant=DEPLOYMENT, purpose=RECEIPT_KEY, version=version)
        private = open_seal(key, stored.sealed, place=receipt_key_place(stored.key_id))
        return OKPKey.import_key(json.loads(private))


def _new_key(data_key: DataKey, *, signs_from: datetime) -> store.StoredKey:
    pair = OKPKey.generate_key("Ed25519")
    key_id = pair.thumbprint()
    private = json.dumps(pair.as_dict(private=True)).encode()
    return store.StoredKey(
        key_id=key_id,
        sealed=seal(data_key, private, place=receipt_key_place(key_id)),
        signs_from=signs_from,
        replace_at=signs_from + SIGNS_FOR - PUBLISHED_BEFORE,
    )
