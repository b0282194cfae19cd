"""The database of a local system: one database, a schema and roles for each service."""

import asyncpg

from deploy.local.postgres import Postgres
from deploy.local.secrets import LocalSecrets
from deploy.roles import SERVICES, role_statements

DATABASE = "watchword"


async def prepare_database(postgres: Postgres, made: LocalSecrets) -> None:
    """Make the database, the roles and the schemas; a second time changes nothing."""
    server = await asyncpg.connect(postgres.dsn())
    try:
        there = await server.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE)
        if not there:
            await server.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await server.close()
    database = await asyncpg.connect(postgres.dsn(DATABASE))
    try:
        for service in SERVICES:
            await database.execute(role_statements(service, made.passwords))
    finally:
        await database.close()


def role_dsn(postgres: Postgres, made: LocalSecrets, role: str) -> str:
    """Return the DSN with which a role enters the database."""
    return postgres.dsn(DATABASE, user=role, password=made.passwords[role])
