"""Where the system is that a command talks to: a local data folder, or a given address."""

import json
from dataclasses import dataclass
from pathlib import Path

from deploy.local.secrets import LocalSecrets, local_secrets
from deploy.roles import SERVICES
from libs.messaging.kafka import KafkaSettings

DEFAULT_DATA = Path(".watchword")


class NoSystem(Exception):  # noqa: N818
    """There is no system in that folder; the text says what to do."""


@dataclass(frozen=True)
class Place:
    """The ports and secrets of a data folder."""

    data: Path
    ports: dict[str, int]

    @property
    def kafka(self) -> KafkaSettings:
        """Return how to reach Kafka."""
        return KafkaSettings(
            bootstrap=f"127.0.0.1:{self.ports['kafka']}", client_id="watchword-cli"
        )

    @property
    def secrets(self) -> LocalSecrets:
        """Return the keys and passwords of the folder."""
        return local_secrets(self.data)

    @property
    def front_door(self) -> str:
        """Return the public address."""
        return f"http://127.0.0.1:{self.ports['front_door']}"

    def internal(self, service: str) -> str:
        """Return a service's internal address."""
        return f"http://127.0.0.1:{self.ports[f'{service}_internal']}"


def find_place(data: Path) -> Place:
    """Return the system of a data folder; raises NoSystem where none was ever started."""
    file = data / "ports.json"
    if not file.exists():
        raise NoSystem(f"no system in {data}: start one with `make run` or `watchword up`")
    ports: dict[str, int] = json.loads(file.read_text())
    missing = [name for name in (*SERVICES, "front_door") if name not in ports]
    if missing:
        raise NoSystem(f"the start in {data} did not finish: run `make run` again")
    return Place(data, ports)


def kafka_of(data: Path, kafka: str | None) -> KafkaSettings:
    """Return Kafka by the address given, else that of the data folder."""
    if kafka is not None:
        return KafkaSettings(bootstrap=kafka, client_id="watchword-cli")
    return find_place(data).kafka
