"""Verification as processes of their own, beside that of the test."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.integration.verification.conftest import Application, Person, World
from tests.integration.verification.verify_program import Ask

_ROOT = Path(__file__).parents[3]
Answers = list[tuple[int, str | None]]


@dataclass(frozen=True)
class VerifyProcess:
    process: asyncio.subprocess.Process

    async def ask(self, asks: Sequence[Ask], *, offset: float = 0.0) -> Answers | None:
        """Ask everything at once; None where the process died before it answered."""
        reader, writer = self.process.stdout, self.process.stdin
        assert reader is not None
        assert writer is not None
        writer.write(json.dumps({"offset": offset, "asks": list(asks)}).encode() + b"\n")
        line = await asyncio.wait_for(reader.readline(), 60)
        return [tuple(one) for one in json.loads(line)] if line else None


def asking(
    application: Application, person: Person, code: str, idempotency_key: str | None = None
) -> Ask:
    asked = {"key": application.key, "subject": person.name, "code": code}
    return asked | ({"idempotency_key": idempotency_key} if idempotency_key else {})


@asynccontextmanager
async def verify_process(
    world: World, failpoint: str = "none", *, quiet: bool = False
) -> AsyncIterator[VerifyProcess]:
    """Run verification on the database and the Redis of `world`; `quiet`: its end is expected."""
    stored = world.stored
    arguments = (json.dumps(asdict(stored.servers)), stored.database, url_of(world), failpoint)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.verification.verify_program", *arguments),
        cwd=_ROOT,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL if quiet else None,
    )
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 60) == b"ready\n"
        yield VerifyProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def url_of(world: World) -> str:
    known = world.redis.connection_pool.connection_kwargs
    word = known.get("password") or ""
    return f"redis://:{word}@{known['host']}:{known['port']}/{known.get('db') or 0}"
