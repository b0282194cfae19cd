"""python -m deploy.compose keys|servers|operator-key: the one-shot jobs of docker-compose.yml."""

import asyncio
import sys
from pathlib import Path

import asyncpg

from deploy.compose.keys import Keys
from deploy.local.topics import prepare_topics
from deploy.roles import SERVICES, role_statements

FOLDER = Path("/keys")
# The user of all our containers; see Dockerfile.
NOBODY = 65534


def main(arguments: list[str]) -> int:
    """Run one job and return the exit code; each may run again."""
    match arguments:
        case ["keys"]:
            Keys(FOLDER, owner=NOBODY).make()
        case ["servers"]:
            asyncio.run(_servers())
        case ["operator-key"]:
            sys.stdout.write(Keys(FOLDER).read("operator/key") + "\n")
        case _:
            sys.stderr.write("usage: python -m deploy.compose keys|servers|operator-key\n")
            return 2
    return 0


async def make_roles(keys: Keys) -> None:
    """Make the schemas and roles of all services."""
    database = await asyncpg.connect(keys.dsn("postgres", keys.read("postgres/password")))
    try:
        for service in SERVICES:
            await database.execute(role_statements(service, keys.passwords(service)))
    finally:
        await database.close()


async def _servers() -> None:
    await make_roles(Keys(FOLDER))
    await prepare_topics("kafka:9092")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
