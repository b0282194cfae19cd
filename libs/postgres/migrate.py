"""Brings a schema up to date: alembic with raw SQL, one folder and one schema a service."""

from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

_ENVIRONMENT = Path(__file__).parent / "alembic"


def migrate(dsn: str, *, schema: str, folder: Path) -> None:
    """Apply what is missing of the migrations in `folder`; does nothing when all are there.

    `dsn` is the owner's. Several migrators at once are harmless: they wait for one another.
    """
    # libpq reads the DSN: SQLAlchemy knows none with several servers.
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))
    try:
        with engine.begin() as connection:
            command.upgrade(_config(connection, schema=schema, folder=folder), "head")
    finally:
        engine.dispose()


def _config(connection: object, *, schema: str, folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_ENVIRONMENT).replace("%", "%%"))
    config.set_main_option("version_locations", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    return config
