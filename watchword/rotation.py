"""Asks the services to replace keys, and looks how far they are; the work is theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from libs.postgres.pool import Connection
from libs.sealing.key_file import add_key
from libs.sealing.rotation_store import Kind
from watchword.keys import connected, rows_by_version, seals
from watchword.place import Place

_PLAN = """
SELECT k.purpose, count(DISTINCT k.tenant_id) AS tenants, count(*) AS keys,
    array_agg(DISTINCT k.version ORDER BY k.version) AS versions,
    array_agg(DISTINCT k.provider || ' ' || k.kek_version) AS wrapped, p.kept_because
FROM data_key k LEFT JOIN key_purpose p USING (purpose)
WHERE k.retired IS NULL AND ($1::uuid IS NULL OR k.tenant_id = $1)
GROUP BY k.purpose, p.kept_because ORDER BY k.purpose
"""
# Of keys that make digests only the wrapping is replaced. What is under way goes on as it is.
_ASK = """
INSERT INTO key_rotation AS r (tenant_id, purpose, kind)
SELECT DISTINCT k.tenant_id, k.purpose, $1 FROM data_key k JOIN key_purpose p USING (purpose)
WHERE ($2::uuid IS NULL OR k.tenant_id = $2)
    AND ($1 = 'wrapping' OR (p.kept_because IS NULL AND k.retired IS NULL))
ON CONFLICT (tenant_id, purpose, kind) DO UPDATE
SET state = 'asked', asked = now(), due = now(), resealed = 0, trouble = NULL
WHERE r.state IN ('retired', 'done')
"""
_PROGRESS = """
SELECT purpose, count(*) AS tenants, count(*) FILTER (WHERE state IN ('retired', 'done')) AS done,
    coalesce(sum(resealed), 0)::bigint AS replaced,
    array_agg(DISTINCT state) FILTER (WHERE state NOT IN ('retired', 'done')) AS steps,
    array_agg(DISTINCT trouble) FILTER (WHERE trouble IS NOT NULL) AS troubles
FROM key_rotation WHERE kind = $1 AND ($2::uuid IS NULL OR tenant_id = $2)
GROUP BY purpose ORDER BY purpose
"""


@dataclass(frozen=True)
class Planned:
    """What replacing the keys of a purpose would take; `kept` says why they are only wrapped."""

    service: str
    purpose: str
    tenants: int
    keys: int
    versions: Sequence[int]
    wrapped: Sequence[str]
    rows: int | None
    kept: str | None

    def as_dict(self) -> dict[str, object]:
        """Return the row for programs."""
        return asdict(self)


@dataclass(frozen=True)
class Progress:
    """How far the tenants of a purpose are."""

    service: str
    purpose: str
    tenants: int
    done: int
    replaced: int
    steps: Sequence[str]
    troubles: Sequence[str]

    def as_dict(self) -> dict[str, object]:
        """Return the row for programs."""
        return asdict(self)


async def plan(owners: Mapping[str, str], tenant: UUID | None) -> list[Planned]:
    """Return what there is to replace; changes nothing. Rows are counted over all tenants."""
    planned: list[Planned] = []
    for service in owners:
        async with connected(owners, service) as connection:
            if await seals(connection):
                planned += await _planned(connection, service, tenant)
    return planned


async def start(owners: Mapping[str, str], kind: Kind, tenant: UUID | None) -> bool:
    """Ask all services for new keys, unless they are at it; False where they were."""
    if any(one.done < one.tenants for one in await progress(owners, kind, tenant)):
        return False
    for service in owners:
        async with connected(owners, service) as connection:
            if await seals(connection):
                await connection.execute(_ASK, kind.value, tenant)
    return True


async def progress(owners: Mapping[str, str], kind: Kind, tenant: UUID | None) -> list[Progress]:
    """Return how far the services are with what they were asked for last."""
    found: list[Progress] = []
    for service in owners:
        async with connected(owners, service) as connection:
            if not await seals(connection):
                continue
            for row in await connection.fetch(_PROGRESS, kind.value, tenant):
                numbers = (row["tenants"], row["done"], row["replaced"])
                said = (tuple(row["steps"] or ()), tuple(row["troubles"] or ()))
                found.append(Progress(service, row["purpose"], *numbers, *said))
    return found


def add_file_keys(place: Place, services: Sequence[str]) -> None:
    """Let the key files of a local system have a new version, under which keys are wrapped."""
    for service in services:
        add_key(place.secrets.key_file(service))


async def _planned(connection: Connection, service: str, tenant: UUID | None) -> list[Planned]:
    planned = []
    for row in await connection.fetch(_PLAN, tenant):
        rows = await rows_by_version(connection, row["purpose"])
        planned.append(
            Planned(
                service=service,
                purpose=row["purpose"],
                tenants=row["tenants"],
                keys=row["keys"],
                versions=tuple(row["versions"]),
                wrapped=tuple(row["wrapped"]),
                rows=None if rows is None else sum(rows.values()),
                kept=row["kept_because"],
            )
        )
    return planned
