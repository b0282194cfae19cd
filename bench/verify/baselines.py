"""Servers that do nothing, run exactly as the services are: what a request costs at least.

python -m bench.verify.baselines fastapi|typed|asgi|installed PORT

`installed` is the same app as `fastapi`, served as `pip install fastapi uvicorn` serves it: on
asyncio's own loop, with h11, without a line in a log for each request.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from libs.service.main import Roles, run_service
from libs.web.server import http_part

_ANSWER = b'{"outcome":"accepted"}'
_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(_ANSWER)).encode()),
]


class Body(BaseModel):
    """What is sent to every server here."""

    subject: str
    code: str


class Answer(BaseModel):
    """What is answered."""

    outcome: str


def fastapi_noop() -> ASGIApp:
    """Return a FastAPI app whose route reads no body and answers a constant."""
    app = FastAPI()

    @app.post("/v1/verify", response_model=None)
    async def nothing() -> dict[str, str]:
        return {"outcome": "accepted"}

    return app


def typed_noop() -> ASGIApp:
    """Return a FastAPI app as it is usually written: with models of the body and of the answer."""
    app = FastAPI()

    @app.post("/v1/verify")
    async def nothing(body: Body) -> Answer:  # noqa: ARG001 - to read it is the point
        return Answer(outcome="accepted")

    return app


def asgi_noop() -> ASGIApp:
    """Return the least that an app can do: read the body and answer."""

    async def nothing(_scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body", False):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _ANSWER})

    return nothing


APPS = {
    "fastapi": fastapi_noop,
    "typed": typed_noop,
    "asgi": asgi_noop,
    "installed": fastapi_noop,
}


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM, through the same code as a service's `api` role."""
    name, port = arguments
    app = APPS[name]()
    if name == "installed":
        uvicorn.run(app, port=int(port), loop="asyncio", http="h11", access_log=False)
        return 0

    @asynccontextmanager
    async def build() -> AsyncIterator[Roles]:
        yield {"api": [http_part(app, host="127.0.0.1", port=int(port))]}

    def roles() -> AbstractAsyncContextManager[Roles]:
        return build()

    return run_service(name, ["api"], build=roles, migrate=lambda: None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
