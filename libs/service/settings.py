"""The settings that every service has; each adds its own and a prefix."""

import os
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

FROZEN = SettingsConfigDict(frozen=True, extra="forbid", secrets_dir=None)


class ServiceSettings(BaseSettings):
    """Where a service finds what it needs; secrets have no defaults.

    `app_dsn`, `worker_dsn` and `owner_dsn` are three roles of one schema: requests and handlers
    inside one tenant's wall, plumbing across tenants, and migrations. Each may name several servers
    (`host1:port1,host2:port2`): the one that takes writes is used.
    """

    model_config = FROZEN

    app_dsn: SecretStr
    worker_dsn: SecretStr
    owner_dsn: SecretStr
    kafka_bootstrap: str
    kafka_replication: int = 1
    key_file: Path
    identity_key_file: Path
    identity_public_keys_file: Path
    host: str = "127.0.0.1"
    port: int
    internal_host: str = "127.0.0.1"
    internal_port: int
    traces_endpoint: str | None = None
    traces_file: Path | None = None
    traces_sampled: float = 1.0


class UnknownSettings(Exception):  # noqa: N818
    """Environment variables with the service's prefix that no setting has: a typing error."""


Known = TypeVar("Known", bound=BaseSettings)


def read_settings(settings: type[Known]) -> Known:
    """Read a service's settings from the environment.

    Raises UnknownSettings for a variable that nothing reads, ValidationError for what is missing.
    """
    refuse_unknown_variables(settings)
    return settings()


def refuse_unknown_variables(settings: type[BaseSettings]) -> None:
    """Raise UnknownSettings for environment variables with the prefix that nothing reads."""
    prefix = settings.model_config.get("env_prefix", "")
    known = {f"{prefix}{name}".upper() for name in settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith(prefix) and name not in known)
    if unknown:
        raise UnknownSettings(", ".join(unknown))
