"""What is wrong with a local system, and what to do about it."""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import asyncpg
import httpx2
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.topics import LIVE_TOPICS
from deploy.local.valkey import Valkey
from deploy.roles import SERVICES
from libs.messaging.dead_letters import list_dead_letters
from libs.messaging.kafka import BROKER_ERRORS
from libs.sealing.rotation_store import Kind
from watchword import keys, rotation
from watchword.place import NoSystem, Place

_FREE_BYTES = 1_000_000_000
_LARGEST_SKEW_SECONDS = 0.5
_OLDEST_UNSENT_SECONDS = 60
# A publication for many applications stays below it; an import of people does not.
_LARGEST_LAG = 1000
_KAFKA_SECONDS = 5


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    well: bool
    said: str
    advice: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the finding for programs."""
        return asdict(self)


async def examine(place: Place) -> list[Finding]:
    """Look at everything, side by side."""
    found = await asyncio.gather(
        _disk(place),
        _postgres(place),
        _valkey(place),
        _kafka(place),
        *(_service(place, service) for service in SERVICES),
        _secret_files(place),
        _keys(place),
    )
    return [finding for findings in found for finding in findings]


def nothing_answers(findings: Sequence[Finding]) -> bool:
    """Tell whether no server and no service answered: then nothing is broken, but stopped."""
    processes = {"PostgreSQL", "Valkey", "Kafka", *SERVICES}
    return not any(finding.well for finding in findings if finding.what in processes)


async def _disk(place: Place) -> list[Finding]:
    free = shutil.disk_usage(place.data).free
    well = free > _FREE_BYTES
    return [Finding("disk", well, f"{free / 1e9:.1f} GB free", "" if well else "make room")]


async def _postgres(place: Place) -> list[Finding]:
    try:
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=place.ports["postgres"],
            user="policy_app",
            password=place.secrets.passwords["policy_app"],
            database="watchword",
            timeout=3,
        )
    except (OSError, asyncpg.PostgresError) as error:
        advice = f"start it with `make run`; its log: {place.data}/postgres"
        return [Finding("PostgreSQL", False, type(error).__name__, advice)]
    try:
        theirs: datetime = await connection.fetchval("SELECT clock_timestamp()")
    finally:
        await connection.close()
    skew = abs((datetime.now(UTC) - theirs).total_seconds())
    well = skew < _LARGEST_SKEW_SECONDS
    advice = "" if well else "synchronise the clocks (NTP): codes depend on the time"
    return [Finding("PostgreSQL", well, f"answers, clocks {skew * 1000:.0f} ms apart", advice)]


async def _valkey(place: Place) -> list[Finding]:
    url = Valkey(place.data / "valkey", port=place.ports["valkey"]).url()
    try:
        async with Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as redis:
            policy = (await redis.config_get("maxmemory-policy"))["maxmemory-policy"]
    except (RedisError, OSError) as error:
        advice = "verification works without it, slower; start it with `make run`"
        return [Finding("Valkey", False, type(error).__name__, advice)]
    well = policy == "noeviction"
    advice = "" if well else "set maxmemory-policy noeviction: evicted budgets are lost budgets"
    return [Finding("Valkey", well, f"answers, {policy}", advice)]


async def _kafka(place: Place) -> list[Finding]:
    try:
        async with asyncio.timeout(_KAFKA_SECONDS):
            dead = {topic.name: await _count(place, topic.name) for topic in LIVE_TOPICS}
    except (*BROKER_ERRORS, TimeoutError) as error:
        advice = "verification goes on and events wait in the outbox; start it with `make run`"
        return [Finding("Kafka", False, type(error).__name__, advice)]
    return [Finding("Kafka", True, "answers")] + [
        Finding(f"dead letters of {name}", False, f"{count}", "watchword dead-letters list")
        for name, count in dead.items()
        if count
    ]


async def _count(place: Place, topic: str) -> int:
    return len(await list_dead_letters(place.kafka, topic))


async def _service(place: Place, service: str) -> list[Finding]:
    log = f"its log: {place.data}/logs/{service}.log"
    async with httpx2.AsyncClient(base_url=place.internal(service), timeout=3) as http:
        try:
            ready = await http.get("/health/ready")
            metrics = await http.get("/metrics")
        except httpx2.HTTPError as error:
            return [Finding(service, False, type(error).__name__, f"not running; {log}")]
    if ready.status_code != 200:
        return [Finding(service, False, f"not ready: {ready.json()['problems']}", log)]
    return [Finding(service, True, "ready"), *read_metrics(service, metrics.text)]


def read_metrics(service: str, text: str) -> list[Finding]:
    """Return what the metrics of a service show to be wrong."""
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    oldest = float(values.get("watchword_relay_oldest_seconds", 0))
    parked = float(values.get("watchword_consumer_parked", 0))
    lag = float(values.get("watchword_consumer_lag", 0))
    found = []
    if oldest > _OLDEST_UNSENT_SECONDS:
        advice = "is Kafka up? nothing is lost, but consumers wait"
        found.append(Finding(f"{service} outbox", False, f"oldest waits {oldest:.0f} s", advice))
    if parked:
        advice = f"a handler fails; `exception` in the log of {service} says why"
        found.append(Finding(f"{service} consumer", False, f"{parked:.0f} parked", advice))
    if lag > _LARGEST_LAG:
        advice = f"{service} does not know yet what they say; it catches up, as after an import"
        found.append(Finding(f"{service} lag", False, f"{lag:.0f} records behind", advice))
    return found


async def _secret_files(place: Place) -> list[Finding]:
    open_ones = [
        file.name
        for file in (place.data / "keys").glob("*")
        if file.is_file() and file.stat().st_mode & 0o077
    ]
    if open_ones:
        return [Finding("key files", False, ", ".join(open_ones), "chmod 600 them")]
    return [Finding("key files", True, "readable by their owner only")]


async def _keys(place: Place) -> list[Finding]:
    owners = keys.owners_of(place)
    try:
        stored = await keys.data_keys(owners)
        at_it = [one for kind in Kind for one in await rotation.progress(owners, kind, None)]
    except NoSystem:
        # PostgreSQL's own finding says so.
        return []
    return read_keys(stored, at_it)


def read_keys(
    stored: Sequence[keys.KeyRow], rotations: Sequence[rotation.Progress]
) -> list[Finding]:
    """Return what is wrong with keys: rows that a retired one has sealed, rotations that wait."""
    found = []
    for key in stored:
        if key.retired and key.rows:
            what = f"{key.service} {key.purpose}"
            said = f"{key.rows} rows sealed by version {key.version}, which is retired"
            found.append(Finding(what, False, said, "sealed anew within ten minutes, if they open"))
    for one in rotations:
        if one.troubles:
            what, said = (
                f"{one.service} {one.purpose}",
                f"rotation waits: {', '.join(one.troubles)}",
            )
            found.append(Finding(what, False, said, f"the log of {one.service} says more"))
    return found
