"""Runs an ASGI app as one part of a service process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

_GRACE_SECONDS = 10


class _Server(uvicorn.Server):
    # The process has one place for signals (libs/process.py); the server must not take them over.
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def http_part(app: ASGIApp, *, host: str, port: int) -> Callable[[asyncio.Event], Awaitable[None]]:
    """Return a process part that serves until it is asked to stop, then lets requests end."""

    async def serve(stop: asyncio.Event) -> None:
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            # Nobody asks for the address of a client: the front door knows it.
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            lifespan="off",
        )
        server = _Server(config)
        async with _asked_to_exit(server, stop):
            await server.serve()
        if not server.started:
            raise OSError(f"cannot listen on {host}:{port}")

    return serve


@asynccontextmanager
async def _asked_to_exit(server: uvicorn.Server, stop: asyncio.Event) -> AsyncIterator[None]:
    async def watch() -> None:
        await stop.wait()
        server.should_exit = True

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()
