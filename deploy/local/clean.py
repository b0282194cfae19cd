"""python -m deploy.local.clean FOLDER: forgets the data of a local system that does not run."""

import shutil
import sys
from pathlib import Path

from deploy.local.kafka import Kafka
from deploy.local.locks import try_lock
from deploy.local.postgres import Postgres
from deploy.local.valkey import Valkey


def main(arguments: list[str]) -> int:
    """Delete the folder and what lies outside it for its sake; 1 where the system still runs."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m deploy.local.clean FOLDER\n")
        return 2
    data = Path(arguments[0]).resolve()
    if not data.exists():
        return 0
    if try_lock(data / "lock") is None:
        sys.stderr.write(f"the system in {data} is running: stop it first\n")
        return 1
    for server in (
        Kafka(data / "kafka", port=0, controller_port=0),
        Valkey(data / "valkey", port=0),
        Postgres(data / "postgres", port=0),
    ):
        server.delete_data()
    shutil.rmtree(data)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
