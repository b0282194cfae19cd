"""The settings that every service has; each adds its own and a prefix."""

import os
from pathlib import Path
from typing import Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

FROZEN = SettingsConfigDict(frozen=True, extra="forbid", secrets_dir=None)


class ServiceSettings(BaseSettings):
    """Where a service finds what it needs; secrets have no defaults.

    `app_dsn`, `worker_dsn` and `owner_dsn` are three roles of one schema: requests and handlers
    inside one tenant's wall, plumbing across tenants, and migrations. Each may name several servers
    (`host1:port1,host2:port2`): the one that takes writes is used.

    Data keys are wrapped by a key file (`key_file`) or by Vault's transit engine (`vault_url`,
    `vault_key`, `vault_token_file`). With both, `wrap_with` says which one wraps from now on; the
    other one only opens what it wrapped before, until `watchword keys rotate --kek` is done.
    """

    model_config = FROZEN

    app_dsn: SecretStr
    worker_dsn: SecretStr
    owner_dsn: SecretStr
    kafka_bootstrap: str
    kafka_replication: int = 1
    key_file: Path | None = None
    vault_url: str | None = Field(default=None, pattern=r"^https?://[^/]+$")
    vault_mount: str = "transit"
    vault_key: str | None = None
    vault_token_file: Path | None = None
    wrap_with: Literal["file", "vault"] | None = None
    identity_key_file: Path
    identity_public_keys_file: Path
    host: str = "127.0.0.1"
    port: int
    internal_host: str = "127.0.0.1"
    internal_port: int
    traces_endpoint: str | None = None
    traces_file: Path | None = None
    traces_sampled: float = 1.0

    @model_validator(mode="after")
    def _one_provider(self) -> Self:
        vault = [self.vault_url, self.vault_key, self.vault_token_file]
        if any(vault) and not all(vault):
            raise ValueError("vault_url, vault_key and vault_token_file belong together")
        local = urlsplit(self.vault_url or "").hostname in ("127.0.0.1", "::1", "localhost")
        if self.vault_url and self.vault_url.startswith("http://") and not local:
            raise ValueError("vault_url: a token and keys are sent over TLS only")
        given = {"file"} if self.key_file else set()
        given |= {"vault"} if self.vault_url else set()
        if not given:
            raise ValueError(
                "who wraps the keys? give key_file, or vault_url and what belongs to it"
            )
        if len(given) == 2 and self.wrap_with is None:
            raise ValueError(
                "key_file and vault_url are both given: wrap_with must say which wraps"
            )
        if self.wrap_with is not None and self.wrap_with not in given:
            raise ValueError(f"wrap_with is {self.wrap_with}, which is not set up")
        return self


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
