"""The secrets of a local system: made at the first start, kept in files of their owner only."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from joserfc.jwk import OKPKey

from deploy.local.process import private_file
from deploy.roles import SERVICES, roles_of
from libs.sealing.key_file import write_key_file
from libs.web.api_keys import digest_of


@dataclass(frozen=True)
class LocalSecrets:
    """Where the keys of a data folder are, and the passwords of the database roles."""

    folder: Path
    passwords: Mapping[str, str]
    operator_key: str

    @property
    def operator_key_digest(self) -> str:
        """Return what policy is told of the operator's key."""
        return digest_of(self.operator_key)

    @property
    def public_keys_file(self) -> Path:
        """Return the file with the public keys of all services."""
        return self.folder / "identities.json"

    def identity_file(self, service: str) -> Path:
        """Return the file with a service's own private key."""
        return self.folder / f"{service}.identity.json"

    def key_file(self, service: str) -> Path:
        """Return the file with the key under which a service wraps its data keys."""
        return self.folder / f"{service}.keys"


def local_secrets(data: Path) -> LocalSecrets:
    """Return the secrets of a data folder, making what is missing."""
    folder = data / "keys"
    folder.mkdir(parents=True, exist_ok=True)
    known = folder / "passwords.json"
    if not known.exists():
        private_file(known, json.dumps(_new_passwords(), indent=2))
    stored: dict[str, str] = json.loads(known.read_text())
    made = LocalSecrets(folder, stored, operator_key=stored["operator_key"])
    _make_identities(made)
    for service in SERVICES:
        if not made.key_file(service).exists():
            write_key_file(made.key_file(service))
    return made


def _new_passwords() -> dict[str, str]:
    roles = [role for service in SERVICES for role in roles_of(service)]
    return {role: secrets.token_hex(24) for role in roles} | {
        "operator_key": f"operator-{secrets.token_hex(24)}"
    }


def _make_identities(made: LocalSecrets) -> None:
    if made.public_keys_file.exists():
        return
    keys = {service: OKPKey.generate_key("Ed25519") for service in SERVICES}
    for service, key in keys.items():
        private_file(made.identity_file(service), json.dumps(key.as_dict(private=True)))
    public = {service: key.as_dict(private=False) for service, key in keys.items()}
    private_file(made.public_keys_file, json.dumps(public, indent=2))
