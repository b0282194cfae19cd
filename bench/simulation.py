"""How long a look at what rules mean takes, beside just reading everybody from PostgreSQL.

python -m bench.simulation [PEOPLE]: starts a system of its own with 100,000 subjects, or PEOPLE, in
one tenant, 20 applications, 40 rules, three weeks of logins; writes bench/results/simulation.json.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import asyncpg

from deploy.local.database import DATABASE
from deploy.local.process import silent
from deploy.local.system import start_system
from tests.e2e.people import Tenancy, new_tenancy

RESULTS = Path(__file__).parent / "results" / "simulation.json"
_ROUNDS = 7
_APPLICATIONS, _RULES = 20, 40
_PEOPLE = """
INSERT INTO policy.subject (tenant_id, subject_ref, version, created, sealed, subject_digest,
                            label_digest, user_type, groups, language)
SELECT $1, uuidv7(), 1, now(), 'x', uuid_send(gen_random_uuid()), uuid_send(gen_random_uuid()),
       (ARRAY['student', 'staff', 'guest'])[1 + n % 3],
       ARRAY['all', 'group-' || n % 60, 'year-' || n % 7], 'en'
FROM generate_series(1, $2) AS n
"""
_ENROLLED = """
INSERT INTO policy.enrolled (tenant_id, authenticator_id, subject_ref, factor, removed)
SELECT tenant_id, uuidv7(), subject_ref, 'totp', false FROM policy.subject
WHERE tenant_id = $1 AND abs(hashtext(subject_ref::text)) % 2 = 0
"""
_LOGINS = """
INSERT INTO policy.login_day (tenant_id, subject_ref, application_id, day, factor, logins)
SELECT $1, subject_ref, $2, current_date - day, 'totp', 2
FROM policy.enrolled, generate_series(0, 20) AS day WHERE tenant_id = $1
"""
_EVERYBODY = """
SELECT subject_ref, user_type, groups FROM policy.subject WHERE tenant_id = $1 AND NOT deleted
"""


async def measure(people: int) -> dict[str, object]:
    """Return the figures, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        system = await start_system(Path(folder), silent)
        try:
            database = await asyncpg.connect(system.servers.postgres.dsn(DATABASE))
            async with new_tenancy(system) as tenancy:
                await _fill(database, tenancy, people)
                return await _rounds(database, tenancy, people)
        finally:
            await system.stop()
            await asyncio.to_thread(system.servers.delete_data)


async def _fill(
    database: "asyncpg.Connection[asyncpg.Record]", tenancy: Tenancy, people: int
) -> None:
    for _ in range(_APPLICATIONS - 1):
        await tenancy.application({"requirement": "off", "factors": []})
    tenant = UUID(tenancy.tenant_id)
    await database.execute(_PEOPLE, tenant, people)
    await database.execute(_ENROLLED, tenant)
    await database.execute(_LOGINS, tenant, UUID(tenancy.application_id))
    await database.execute("ANALYZE policy.subject, policy.enrolled, policy.login_day")


async def _rounds(
    database: "asyncpg.Connection[asyncpg.Record]", tenancy: Tenancy, people: int
) -> dict[str, object]:
    rules = [
        {
            "name": f"rule-{n}",
            "match": {"user_types": ["student"], "groups": [f"group-{n}"]},
            "requirement": "required",
            "factors": ["totp"],
        }
        for n in range(_RULES)
    ]
    body: dict[str, object] = {"rules": {"rules": rules}}

    async def simulate() -> None:
        found = await tenancy.must("/v1/rules/simulation", body, status=200, key=tenancy.manage_key)
        tally = found["people"]
        if not isinstance(tally, dict) or sum(tally["after"].values()) != people:
            raise AssertionError("not everybody was looked at")

    async def read() -> None:
        rows = await database.fetch(_EVERYBODY, UUID(tenancy.tenant_id))
        if len(rows) != people:
            raise AssertionError("not everybody was read")

    pairs = [(await _taken(read), await _taken(simulate)) for _ in range(_ROUNDS)]
    ratios = sorted(simulated / reading for reading, simulated in pairs)
    return {
        "people": people,
        "applications": _APPLICATIONS,
        "rules": _RULES,
        "login_days": people // 2 * 21,
        "simulation_ms": round(statistics.median(simulated for _, simulated in pairs)),
        "reading_ms": round(statistics.median(reading for reading, _ in pairs)),
        "ratio": {
            "min": round(ratios[0], 1),
            "median": round(statistics.median(ratios), 1),
            "max": round(ratios[-1], 1),
        },
        "rounds": _ROUNDS,
        "cores": os.cpu_count(),
    }


async def _taken(what: Callable[[], Awaitable[None]]) -> float:
    began = time.monotonic()
    await what()
    return (time.monotonic() - began) * 1000


def main(arguments: list[str]) -> int:
    """Measure, print and store."""
    result = asyncio.run(measure(int(arguments[0]) if arguments else 100_000))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
