"""A verification process for the fault runs, which can be told where to die.

Reads a line of JSON, asks everything in it at once, writes the answers as a line of JSON.
"""

import asyncio
import json
import os
import random
import signal
import sys
from datetime import timedelta
from pathlib import Path

import structlog

from libs.logs import configure_logs
from services.verification.entries import Entry, Settled
from services.verification.reserve import Cache, Reservation
from services.verification.settle import NotNow, Settler
from services.verification.use_cases.guesses import Guesses
from tests.fixtures.servers import RunningServers
from tests.fixtures.services import ServiceDatabase
from tests.integration.verification.conftest import World, running_world

Ask = dict[str, str]
Written = list[Settled | NotNow | Exception]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(failpoint: str) -> None:
    """Put the death into its place; the product's code knows nothing of it."""
    reserve, write, was_right = Cache.reserve, Settler._write, Guesses.was_right

    async def reserve_and_die(self: Cache, *places: object, **named: object) -> Reservation:
        answer: Reservation = await reserve(self, *places, **named)  # type: ignore[arg-type]
        die()
        return answer

    async def write_and_die(self: Settler, entries: list[Entry]) -> Written:
        done = await write(self, entries)
        die()
        return done

    async def die_while_writing(self: Settler, entries: list[Entry]) -> Written:
        asyncio.get_running_loop().call_later(random.uniform(0, 0.004), die)
        return await write(self, entries)

    def die_before_response(self: Guesses, *places: object, **named: object) -> None:
        was_right(self, *places, **named)  # type: ignore[arg-type]
        die()

    match failpoint:
        case "after_reserve":
            Cache.reserve = reserve_and_die  # type: ignore[method-assign]
        case "while_settling":
            Settler._write = die_while_writing  # type: ignore[method-assign]
        case "after_commit":
            Settler._write = write_and_die  # type: ignore[method-assign]
        case "before_response":
            Guesses.was_right = die_before_response  # type: ignore[method-assign]


FAILPOINTS = ("after_reserve", "while_settling", "after_commit", "before_response")


def fill_the_log() -> None:
    """Log as the product does, to a disk without space."""
    said, sys.stdout = sys.stdout, open("/dev/full", "w")  # noqa: SIM115
    sys.stderr = sys.stdout
    configure_logs(service="verification")
    sys.stdout = said


async def ask(world: World, one: Ask) -> list[object]:
    headers = {"Authorization": f"Bearer {one['key']}"}
    if "idempotency_key" in one:
        headers["Idempotency-Key"] = one["idempotency_key"]
    body = {"subject": one["subject"], "code": one["code"]}
    answer = await world.public.post("/v1/verify", json=body, headers=headers)
    return [answer.status_code, answer.json().get("event_id")]


async def main(place: str, database: str, redis_url: str, failpoint: str) -> None:
    # Standard output is for the answers.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    stored = ServiceDatabase(RunningServers(**json.loads(place)), database, "verification")
    async with running_world(stored, redis_url, Path("unused")) as world:
        arm(failpoint)
        if failpoint == "full_log":
            fill_the_log()
        print("ready", flush=True)  # noqa: T201
        while line := await asyncio.to_thread(sys.stdin.readline):
            asked = json.loads(line)
            world.clock.offset = timedelta(seconds=asked["offset"])
            answers = await asyncio.gather(*(ask(world, one) for one in asked["asks"]))
            print(json.dumps(answers), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
