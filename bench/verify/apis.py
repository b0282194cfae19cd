"""Processes of verification with the role `api`: the first one, and others with own settings."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from bench.verify.costs import Meter, on_cores, own_core
from bench.verify.ground import Ground, Running, named_settings
from bench.verify.target import Done, Target
from deploy.local.ports import free_port
from deploy.local.process import ChildProcess
from deploy.local.services import is_ready

_OWN_CORE = frozenset({own_core()})


@dataclass(frozen=True)
class Api:
    """A process, where it answers applications, and where it says how it is."""

    process: ChildProcess
    port: int
    internal_url: str


def first_api(running: Running) -> Api:
    """Return the process that runs with the settings of a deployment."""
    ground = running.ground
    return Api(running.api, ground.api_port, ground.internal_url("api"))


@asynccontextmanager
async def more_apis(
    ground: Ground,
    settings: Mapping[str, Mapping[str, str]],
    *,
    cores: frozenset[int] = _OWN_CORE,
) -> AsyncIterator[Mapping[str, Api]]:
    """Run further processes, by name, each with settings of its own beside those of the ground."""
    apis = {name: _another(ground, name, own) for name, own in settings.items()}
    async with AsyncExitStack() as stack:
        with on_cores(cores):
            for api in apis.values():
                api.process.start()
                stack.push_async_callback(api.process.stop)
        for api in apis.values():
            await api.process.ready(partial(is_ready, api.internal_url))
        yield apis


def _another(ground: Ground, name: str, settings: Mapping[str, str]) -> Api:
    ports = {"verification": free_port(), "verification_internal": free_port()}
    elsewhere = replace(
        ground,
        around=replace(ground.around, ports={**ground.around.ports, **ports}),
        overrides={**ground.overrides, **named_settings(settings)},
    )
    command = elsewhere.process("api").command
    log, pid_file = command.log.with_stem(f"api-{name}"), command.pid_file.with_stem(f"api-{name}")
    process = ChildProcess(replace(command, name=f"api {name}", log=log, pid_file=pid_file))
    return Api(process, elsewhere.api_port, elsewhere.internal_url("api"))


def service_target(
    running: Running, apis: Sequence[Api], *, done: Done, valkey: Sequence[int] | None = None
) -> Target:
    """Return processes that answer together; `valkey` are those of its servers, if not ours."""
    servers = running.ground.servers
    meter = Meter(
        {
            "service": [api.process.pid for api in apis],
            "postgres": [servers.postgres.pid],
            "valkey": valkey or [servers.valkey.pid],
            "relay": [running.relay.pid],
            "kafka": [servers.kafka.pid],
        }
    )
    return Target([api.port for api in apis], meter, apis[0].process.command.log, done)


def noop_target(running: Running, name: str = "fastapi") -> Target:
    """Return a server that does nothing; its cost is called `noop`."""
    port, process = running.baselines[name]
    return Target([port], Meter({"noop": [process.pid]}), process.command.log)
