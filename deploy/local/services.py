"""The five services and the inbox of a local system, each a process of its own."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2

from deploy.local.database import role_dsn
from deploy.local.process import ChildProcess, Command
from deploy.local.secrets import LocalSecrets
from deploy.local.servers import Servers

HOST = "127.0.0.1"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Surroundings:
    """What the environment of every service is made from."""

    data: Path
    servers: Servers
    made: LocalSecrets
    ports: Mapping[str, int]

    def public_url(self, service: str) -> str:
        """Return where a service listens for the front door."""
        return f"http://{HOST}:{self.ports[service]}"

    def internal_url(self, service: str) -> str:
        """Return where a service listens for the other services."""
        return f"http://{HOST}:{self.ports[f'{service}_internal']}"


def service_process(around: Surroundings, service: str, *, role: str = "all") -> ChildProcess:
    """Return one service as a process that can be started; `role` is one of its roles."""
    name = service if role == "all" else f"{service}-{role}"
    return ChildProcess(
        Command(
            name=name,
            arguments=(sys.executable, "-m", f"services.{service}", role),
            log=around.data / "logs" / f"{name}.log",
            pid_file=around.data / "run" / f"{name}.pid",
            environment=_with_python(service_environment(around, service)),
        )
    )


def inbox_process(around: Surroundings) -> ChildProcess:
    """Return the local inbox: a mail server that keeps what it gets, and a page that shows it."""
    ports = around.ports
    return ChildProcess(
        Command(
            name="inbox",
            arguments=(
                sys.executable,
                "-m",
                "deploy.local.inbox",
                f"--smtp-port={ports['smtp']}",
                f"--http-port={ports['inbox']}",
                f"--folder={around.data / 'inbox'}",
            ),
            log=around.data / "logs" / "inbox.log",
            pid_file=around.data / "run" / "inbox.pid",
            environment=_with_python({}),
        )
    )


async def is_ready(address: str) -> bool:
    """Tell whether a service answers that it can do its work."""
    async with httpx2.AsyncClient() as http:
        try:
            answer = await http.get(f"{address}/health/ready", timeout=2)
        except httpx2.HTTPError:
            return False
    return answer.status_code == 200


def service_environment(around: Surroundings, service: str) -> dict[str, str]:
    """Return the settings of a service as environment variables."""
    made, postgres = around.made, around.servers.postgres
    common = {
        "app_dsn": role_dsn(postgres, made, f"{service}_app"),
        "worker_dsn": role_dsn(postgres, made, f"{service}_worker"),
        "owner_dsn": role_dsn(postgres, made, f"{service}_owner"),
        "kafka_bootstrap": around.servers.kafka.bootstrap_servers,
        "key_file": str(made.key_file(service)),
        "identity_key_file": str(made.identity_file(service)),
        "identity_public_keys_file": str(made.public_keys_file),
        "port": str(around.ports[service]),
        "internal_port": str(around.ports[f"{service}_internal"]),
        "traces_file": str(around.data / "traces" / f"{service}.jsonl"),
        "traces_sampled": "1",
    }
    prefix = f"WATCHWORD_{service.upper()}_"
    settings = {**common, **_own_settings(around)[service]}
    return {f"{prefix}{name.upper()}": value for name, value in settings.items()}


def _own_settings(around: Surroundings) -> Mapping[str, Mapping[str, str]]:
    postgres, made = around.servers.postgres, around.made
    policy, enrollment = around.internal_url("policy"), around.internal_url("enrollment")
    verification = around.internal_url("verification")
    return {
        "policy": {
            "operator_key_digest": made.operator_key_digest,
            "verification_url": verification,
            "enrollment_url": enrollment,
            "recovery_url": around.internal_url("recovery"),
        },
        "enrollment": {"policy_url": policy, "verification_url": verification},
        "verification": {
            "policy_url": policy,
            "enrollment_url": enrollment,
            "settle_dsn": role_dsn(postgres, made, "verification_settle"),
            "redis_url": around.servers.valkey.url(),
        },
        "notification": {
            "policy_url": policy,
            "enrollment_url": enrollment,
            # The handset of the inbox takes any account.
            "twilio_url": f"http://{HOST}:{around.ports['inbox']}",
            "twilio_account_sid": f"AC{'0' * 32}",
            "twilio_auth_token": "local",
            "twilio_from": "+15005550006",
            "smtp_host": HOST,
            "smtp_port": str(around.ports["smtp"]),
            "smtp_tls": "none",
            "mail_from": "Watchword <watchword@example.org>",
        },
        "recovery": {"policy_url": policy, "enrollment_url": enrollment},
    }


def _with_python(environment: Mapping[str, str]) -> dict[str, str]:
    # Started from any folder, and before the project is installed.
    return {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment}
