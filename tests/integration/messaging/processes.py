"""Relays and consumers as processes of their own, which can be killed and frozen."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.integration.messaging.bench import Bench

_ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def relay_process(bench: Bench, fault: str) -> AsyncIterator[asyncio.subprocess.Process]:
    database = bench.database
    arguments = (database.dsn("worker"), bench.kafka.bootstrap, database.service, fault)
    async with _process("relay_program", *arguments) as process:
        yield process


@asynccontextmanager
async def consumer_process(bench: Bench) -> AsyncIterator[asyncio.subprocess.Process]:
    dsns = (bench.database.dsn("app"), bench.database.dsn("worker"))
    arguments = (*dsns, bench.kafka.bootstrap, bench.topic, bench.group)
    async with _process("consumer_program", *arguments) as process:
        yield process


@asynccontextmanager
async def _process(program: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"tests.integration.messaging.{program}", *arguments),
        cwd=_ROOT,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
