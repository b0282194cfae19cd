"""Writes people with authenticators straight into verification's tables, sealed as it seals."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg

from bench.verify.people import DIGITS, People, name_of
from contracts.envelope import application_key
from contracts.policy import ApplicationKey, ApplicationState, PolicyState
from contracts.topics import APPLICATIONS, POLICIES
from contracts.vocabulary import Algorithm, Factor, KeyMode, Requirement, Scope
from deploy.local.process import Progress
from libs.ids import new_id
from libs.messaging.copies import save_copy
from libs.postgres.pool import Connection, Pool, open_pool, tenant_transaction
from libs.sealing.data_keys import DataKeys
from libs.sealing.key_file import FileProvider, read_key_file
from libs.sealing.seal import DataKey, seal
from libs.web.api_keys import ApiKey, new_api_key
from services.verification.domain.places import CREDENTIAL, LOOKUP, credential_place
from services.verification.domain.subjects import lookup_digest

_PORTION = 50_000
_EPOCH = 1
# The default of WATCHWORD_VERIFICATION_GUESSES_AT_ONCE.
_NO_GUESS_LEFT = 10.0
_SUBJECT = ("tenant_id", "id", "lookup", "spent", "spent_at")
_AUTHENTICATOR = (
    *("tenant_id", "id", "subject_ref", "factor", "status"),
    *("epoch", "sealed", "algorithm", "digits", "period"),
)
Row = tuple[object, ...]


@dataclass(frozen=True)
class Place:
    """Where to write: the database as its superuser and as the app role, and the key file."""

    superuser_dsn: str
    app_dsn: str
    key_file: Path


@dataclass(frozen=True)
class _Keys:
    tenant: UUID
    lookup: DataKey
    credential: DataKey


async def seed(place: Place, people: People, on_progress: Progress) -> str:
    """Make a tenant with an application and all people; return the application's key."""
    tenant = uuid4()
    pool = await open_pool(place.app_dsn, name="bench")
    try:
        data_keys = DataKeys(pool, FileProvider(partial(read_key_file, place.key_file)))
        keys = _Keys(
            tenant,
            lookup=await data_keys.newest(tenant=tenant, purpose=LOOKUP),
            credential=await data_keys.newest(tenant=tenant, purpose=CREDENTIAL),
        )
        application = await _application(pool, tenant)
    finally:
        await pool.close()
    connection = await asyncpg.connect(place.superuser_dsn)
    try:
        await _write(connection, people, keys, on_progress)
    finally:
        await connection.close()
    return application


async def _application(pool: Pool, tenant: UUID) -> str:
    application_id = new_id()
    key = new_api_key(mode="live", application_id=application_id)
    place = application_key(tenant, application_id)
    async with tenant_transaction(pool, tenant) as tx:
        for topic, state in (
            (APPLICATIONS, _application_state(application_id, key)),
            (POLICIES, _policy_state(application_id)),
        ):
            content = state.model_dump(mode="json")
            await save_copy(tx, tenant=tenant, topic=topic.name, key=place, state=content)
    return key.text


def _application_state(application_id: UUID, key: ApiKey) -> ApplicationState:
    known = ApplicationKey(
        key_id=new_id(),
        digest=key.digest,
        scopes=(Scope.VERIFY,),
        mode=KeyMode.LIVE,
        revoked=False,
    )
    return ApplicationState(
        application_id=application_id, version=1, deleted=False, name="Bench", keys=(known,)
    )


def _policy_state(application_id: UUID) -> PolicyState:
    return PolicyState(
        application_id=application_id,
        version=1,
        deleted=False,
        requirement=Requirement.REQUIRED,
        factors=(Factor.TOTP,),
    )


async def _write(
    connection: Connection, people: People, keys: _Keys, on_progress: Progress
) -> None:
    await connection.execute("SET search_path = verification")
    for first in range(0, people.count, _PORTION):
        numbers = range(first, min(first + _PORTION, people.count))
        subjects, authenticators = zip(*_rows(people, numbers, keys), strict=True)
        await connection.copy_records_to_table("subject", records=subjects, columns=_SUBJECT)
        await connection.copy_records_to_table(
            "authenticator", records=authenticators, columns=_AUTHENTICATOR
        )
        on_progress(f"{numbers.stop:,} of {people.count:,} people are enrolled")
    # What autovacuum would do some time later, in the middle of a round.
    for table in ("subject", "authenticator"):
        await connection.execute(f"VACUUM (ANALYZE, FREEZE) {table}")
    await connection.execute("CHECKPOINT")


def _rows(people: People, numbers: range, keys: _Keys) -> Iterator[tuple[Row, Row]]:
    tenant, now = keys.tenant, datetime.now(UTC)
    for number in numbers:
        subject, authenticator = new_id(), new_id()
        spent = _NO_GUESS_LEFT if number in people.without_guesses else 0.0
        lookup = lookup_digest(keys.lookup.key, name_of(number))
        place = credential_place(
            tenant, subject, authenticator_id=authenticator, factor=Factor.TOTP, epoch=_EPOCH
        )
        sealed = seal(keys.credential, people.secret(number), place=place)
        yield (
            (tenant, subject, lookup, spent, now),
            (
                *(tenant, authenticator, subject, Factor.TOTP.value, "active"),
                *(_EPOCH, sealed, Algorithm.SHA1.value, DIGITS, people.period),
            ),
        )
