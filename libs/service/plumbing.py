"""Opens what every service process needs, in order, and closes it again."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import httpx2

from libs.clock import Clock, system_clock
from libs.postgres.pool import Pool, open_app_pool, open_pool
from libs.sealing.data_keys import DataKeys
from libs.sealing.providers import KeyProvider
from libs.service.key_provider import key_provider
from libs.service.settings import ServiceSettings
from libs.telemetry import configure_traces
from libs.web.identity import Identity, InternalCallers, load_identity
from libs.web.internal_client import InternalClient

# Stands in each service's first migration; rows are dropped when their token has expired anyway.
INTERNAL_CALL_TABLE = """
CREATE TABLE internal_call (
    token_id text PRIMARY KEY,
    expires timestamptz NOT NULL
);
CREATE INDEX ON internal_call (expires);
"""


_TO_VAULT = 8


@dataclass(frozen=True)
class Plumbing:
    """The connections and keys of one process."""

    service: str
    app_pool: Pool
    worker_pool: Pool
    key_provider: KeyProvider
    data_keys: DataKeys
    identity: Identity
    http: httpx2.AsyncClient
    clock: Clock

    def client(self, audience: str, base_url: str) -> InternalClient:
        """Return a client for another service's internal routes."""
        return InternalClient(
            http=self.http,
            identity=self.identity,
            audience=audience,
            base_url=base_url,
            clock=self.clock,
        )

    def callers(self, *allowed: str) -> InternalCallers:
        """Return the dependency that lets only these services call an internal route."""
        return InternalCallers(
            identity=self.identity,
            take_once=self._take_once,
            clock=self.clock,
            allowed=frozenset(allowed),
        )

    async def _take_once(self, token_id: str, expires: datetime) -> bool:
        taken = await self.worker_pool.fetchval(
            "WITH old AS (DELETE FROM internal_call WHERE expires < now() - interval '5 minutes')"
            " INSERT INTO internal_call VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true",
            token_id,
            expires,
        )
        return bool(taken)


@asynccontextmanager
async def open_plumbing(service: str, settings: ServiceSettings) -> AsyncIterator[Plumbing]:
    """Open pools, keys, traces and the HTTP client of one service process."""
    async with AsyncExitStack() as stack:
        traces = configure_traces(
            service=service,
            endpoint=settings.traces_endpoint,
            file=settings.traces_file,
            sampled=settings.traces_sampled,
        )
        stack.callback(traces.shutdown)
        app_pool = await open_app_pool(settings.app_dsn.get_secret_value(), name=service)
        stack.push_async_callback(app_pool.close)
        worker_pool = await open_pool(
            settings.worker_dsn.get_secret_value(), name=f"{service} worker", largest=4
        )
        stack.push_async_callback(worker_pool.close)
        http = await stack.enter_async_context(httpx2.AsyncClient())
        # Its own: a Vault that hangs takes no connection from anybody else.
        vault = await stack.enter_async_context(
            httpx2.AsyncClient(limits=httpx2.Limits(max_connections=_TO_VAULT))
        )
        provider = key_provider(settings, vault)
        data_keys = DataKeys(app_pool, provider)
        stack.push_async_callback(data_keys.close)
        yield Plumbing(
            service=service,
            app_pool=app_pool,
            worker_pool=worker_pool,
            key_provider=provider,
            data_keys=data_keys,
            identity=load_identity(
                service,
                private_key=settings.identity_key_file.read_text(),
                public_keys=settings.identity_public_keys_file.read_text(),
            ),
            http=http,
            clock=system_clock,
        )
