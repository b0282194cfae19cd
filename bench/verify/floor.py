"""The least that a verification can be: a code is judged once, durably, with an event.

python -m bench.verify.floor PORT, with FLOOR_DSN, FLOOR_REDIS, FLOOR_SEED, FLOOR_COUNT and
FLOOR_PERIOD. It shares verification's round trips (libs/batching.py, redis_line.py), and has no
callers, tenants, limits, Idempotency-Key, order of events, policy, receipt or telemetry. What
verification costs more than this is the price of what it does more.
"""

import hmac
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.verify.people import People, name_of
from libs.batching import Batches
from libs.ids import new_id
from libs.postgres.pool import Connection
from libs.service.main import Roles, run_service
from libs.web.server import http_part
from services.verification.redis_line import Argument, RedisLine
from services.verification.reserve import open_redis

_RESERVE = """
local answers = {}
for i, key in ipairs(KEYS) do
  local kept = redis.call('HMGET', key, 'c', 's', 't')
  local level = math.max(0, tonumber(kept[2]) - math.max(0, ARGV[1] - tonumber(kept[3])) * 0.0002)
  answers[i] = ''
  if level + 1 <= 1000 then
    redis.call('HSET', key, 's', tostring(level), 't', ARGV[1])
    answers[i] = kept[1]
  end
end
return answers
"""
_TABLES = """
DROP SCHEMA IF EXISTS floor CASCADE;
CREATE SCHEMA floor;
CREATE TABLE floor.authenticator (id int PRIMARY KEY, last_step bigint NOT NULL)
    WITH (fillfactor = 60);
CREATE TABLE floor.outbox (id uuid PRIMARY KEY, payload bytea);
"""
_SETTLE = """
WITH entry AS (
    SELECT * FROM unnest($1::int[], $2::bigint[], $3::uuid[], $4::bytea[]) AS e (id, step, event, body)
), took AS (
    UPDATE floor.authenticator a SET last_step = e.step FROM entry e
    WHERE a.id = e.id AND a.last_step < e.step RETURNING e.*
), announced AS (INSERT INTO floor.outbox SELECT event, body FROM took)
SELECT id FROM took
"""  # noqa: E501 - as one reads it
_PORTION = 1_000
_ENCODER = msgspec.json.Encoder()
_NO_CODE = -1
# A person, the step of the code, the event.
_Entry = tuple[int, int, bytes]


class _Question(msgspec.Struct):
    subject: str
    code: str


_DECODER = msgspec.json.Decoder(_Question)


class Floor:
    """Reserves, computes and settles."""

    def __init__(self, people: People, line: RedisLine, postgres: Connection) -> None:
        self._people = people
        self._numbers = {name_of(number): number for number in range(people.count)}
        self._line = line
        self._postgres = postgres
        self._script = ""
        self._seal = AESGCM(bytes(32))
        self._reserving = Batches(self._reserve, largest=512)
        self._settling = Batches(self._settle, apart=lambda entry: entry[0])

    async def fill(self) -> None:
        """Enroll everybody."""
        numbers = range(self._people.count)
        await self._postgres.execute(_TABLES)
        await self._postgres.copy_records_to_table(
            "authenticator", schema_name="floor", records=[(number, 0) for number in numbers]
        )
        await self._postgres.execute("VACUUM (ANALYZE) floor.authenticator")
        await self._postgres.execute("SET plan_cache_mode = force_generic_plan")
        [script] = await self._line.send([["SCRIPT", "LOAD", _RESERVE]])
        self._script = bytes(script).decode()  # type: ignore[call-overload]
        for first in numbers[::_PORTION]:
            portion = numbers[first : first + _PORTION]
            await self._line.send(
                [["HSET", _key(n), "c", self._sealed(n), "s", 0, "t", 0] for n in portion]
            )

    async def judge(self, body: bytes) -> bool:
        """Tell whether the code is accepted."""
        question = _DECODER.decode(body)
        number = self._numbers[question.subject]
        sealed = await self._reserving.do(number)
        secret = self._seal.decrypt(sealed[:12], sealed[12:], _key(number))
        step = self._step_of(secret, question.code)
        if step == _NO_CODE:
            return False
        event = _ENCODER.encode({"type": "mfa.verified", "subject": number, "step": step})
        return await self._settling.do((number, step, event))

    def _sealed(self, number: int) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._seal.encrypt(nonce, self._people.secret(number), _key(number))

    def _step_of(self, secret: bytes, code: str) -> int:
        now, found = int(time.time()) // self._people.period, _NO_CODE
        for step in (now - 1, now, now + 1):
            mac = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
            place = mac[-1] & 0x0F
            number = int.from_bytes(mac[place : place + 4], "big") & 0x7FFFFFFF
            if hmac.compare_digest(f"{number % 1_000_000:06d}", code):
                found = step
        return found

    async def _reserve(self, numbers: list[int]) -> Sequence[bytes]:
        command: list[Argument] = ["EVALSHA", self._script, len(numbers)]
        command += [*map(_key, numbers), time.time()]
        [answers] = await self._line.send([command])
        return answers  # type: ignore[return-value]

    async def _settle(self, entries: list[_Entry]) -> Sequence[bool]:
        numbers, steps, events = zip(*entries, strict=True)
        ids = [new_id() for _ in entries]
        rows = await self._postgres.fetch(_SETTLE, list(numbers), list(steps), ids, list(events))
        took = {row[0] for row in rows}
        return [number in took for number in numbers]


def _key(number: int) -> bytes:
    return b"floor:%d" % number


def _app(floor: Floor) -> ASGIApp:
    async def answer(_scope: Scope, receive: Receive, send: Send) -> None:
        accepted = await floor.judge((await receive())["body"])
        body = b'{"outcome":"accepted"}' if accepted else b'{"outcome":"refused"}'
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
        status = 200 if accepted else 403
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


@asynccontextmanager
async def _build() -> AsyncIterator[Roles]:
    given = {name: os.environ[f"FLOOR_{name}"] for name in ("DSN", "REDIS", "SEED", "COUNT")}
    people = People(
        *(int(given["COUNT"]), 0, 0, bytes.fromhex(given["SEED"])),
        period=int(os.environ["FLOOR_PERIOD"]),
    )
    async with open_redis(given["REDIS"]) as redis:
        postgres = await asyncpg.connect(given["DSN"])
        floor = Floor(people, RedisLine(redis), postgres)
        await floor.fill()
        port = int(sys.argv[1])
        yield {"api": [http_part(_app(floor), host="127.0.0.1", port=port)]}
        await postgres.close()


if __name__ == "__main__":
    sys.exit(run_service("floor", ["api"], build=_build, migrate=lambda: None))
