"""Keys and passwords of a system of containers: made once, each service sees its own only."""

import json
import os
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from joserfc.jwk import OKPKey

from deploy.roles import SERVICES, roles_of
from libs.sealing.key_file import write_key_file
from libs.web.api_keys import digest_of

DATABASE = "watchword"
# A full store must refuse: forgetting a key could let a spent code pass again.
_VALKEY = """requirepass {password}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
dir /data
"""


@dataclass(frozen=True)
class Keys:
    """A folder with one folder for each container that gets something; here as /keys/<name>."""

    folder: Path
    # Whose the files are to be; None leaves them to whoever runs this.
    owner: int | None = None
    postgres: str = "postgres:5432"
    valkey: str = "valkey:6379"

    def make(self) -> None:
        """Make what is missing; running it again changes nothing."""
        self._once("postgres/password", secrets.token_hex(24))
        # The servers' images change to users of their own; nobody else mounts this folder.
        password = self._once("valkey/password", secrets.token_hex(24), mode=0o644)
        self._once("valkey/valkey.conf", _VALKEY.format(password=password), mode=0o644)
        self._once("operator/key", f"operator-{secrets.token_hex(24)}")
        public = {service: self._identity(service) for service in SERVICES}
        for service in SERVICES:
            self._write(f"{service}/identities.json", json.dumps(public, indent=2))
            self._key_file(service)
            self._write(f"{service}/environment", _as_shell(self.environment(service)))

    def read(self, name: str) -> str:
        """Return what a file holds."""
        return (self.folder / name).read_text()

    def passwords(self, service: str) -> dict[str, str]:
        """Return the passwords of a service's database roles."""
        new = {role: secrets.token_hex(24) for role in roles_of(service)}
        stored: dict[str, str] = json.loads(self._once(f"{service}/passwords", json.dumps(new)))
        return stored

    def environment(self, service: str) -> dict[str, str]:
        """Return the settings of a service that are secret or lie beside its secrets."""
        passwords = self.passwords(service)
        settings = {
            f"{role.removeprefix(f'{service}_')}_dsn": self.dsn(role, password)
            for role, password in passwords.items()
        }
        settings |= {
            "key_file": "/keys/keys",
            "identity_key_file": "/keys/identity.json",
            "identity_public_keys_file": "/keys/identities.json",
        }
        if service == "policy":
            settings["operator_key_digest"] = digest_of(self.read("operator/key"))
        if service == "verification":
            settings["redis_url"] = f"redis://:{self.read('valkey/password')}@{self.valkey}/0"
        return {f"WATCHWORD_{service}_{name}".upper(): text for name, text in settings.items()}

    def dsn(self, role: str, password: str) -> str:
        """Return how a role enters the database."""
        return f"postgresql://{role}:{password}@{self.postgres}/{DATABASE}"

    def _identity(self, service: str) -> Mapping[str, object]:
        new = OKPKey.generate_key("Ed25519").as_dict(private=True)
        own = OKPKey.import_key(json.loads(self._once(f"{service}/identity.json", json.dumps(new))))
        return own.as_dict(private=False)

    def _key_file(self, service: str) -> None:
        path = self.folder / service / "keys"
        if not path.exists():
            draft = path.with_name("keys.draft")
            draft.unlink(missing_ok=True)
            write_key_file(draft)
            self._put(draft, path)

    def _once(self, name: str, new: str, *, mode: int = 0o600) -> str:
        if not (self.folder / name).exists():
            self._write(name, new, mode=mode)
        return self.read(name)

    def _write(self, name: str, text: str, *, mode: int = 0o600) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.draft")
        draft.unlink(missing_ok=True)
        draft.touch(mode=mode)
        draft.write_text(text)
        self._put(draft, path)

    def _put(self, draft: Path, path: Path) -> None:
        if self.owner is not None:
            os.chown(draft, self.owner, self.owner)
        draft.replace(path)


def _as_shell(environment: Mapping[str, str]) -> str:
    return "".join(f"{name}={shlex.quote(text)}\n" for name, text in environment.items())
