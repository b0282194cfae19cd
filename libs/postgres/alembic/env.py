"""Runs one service's migrations under a lock, so that several migrators at once are harmless."""

import zlib

from alembic import context
from sqlalchemy import Connection, text


def run(connection: Connection, schema: str) -> None:
    """Migrate `schema` in one transaction."""
    lock = zlib.crc32(schema.encode())
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
    context.configure(connection=connection, version_table_schema=schema)
    context.run_migrations()


run(context.config.attributes["connection"], context.config.attributes["schema"])
