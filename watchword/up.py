"""`watchword up`: start everything, perform the main job, stay up, stop in order."""

import asyncio
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import httpx2
from rich.console import Console

from deploy.local.system import System, start_system
from watchword import demo
from watchword.events import readable

Result = TypeVar("Result")
_LOOK_SECONDS = 1


async def up(data: Path, *, once: bool, console: Console) -> None:
    """Run until Ctrl-C or SIGTERM; with `once` until the main job is done."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    begin = time.monotonic()
    console.print(f"[bold]Watchword[/] on the data in {data}")
    starting = asyncio.create_task(
        start_system(
            data.resolve(), lambda text: console.print(f"  {text}"), prefer_front_door=True
        )
    )
    system = await _unless_stopped(starting, stop)
    if system is None:
        console.print("stopped before everything was up")
        return
    try:
        console.print(f"everything is up after {time.monotonic() - begin:.1f} s\n")
        job = asyncio.create_task(_main_job(system, data, console))
        await _unless_stopped(asyncio.create_task(_tolerated(job, data, console, once)), stop)
        if not once and not stop.is_set():
            _print_addresses(system, data, console)
            await _stay_up(system, stop, console)
    finally:
        console.print("\nstopping ...")
        await system.stop()
        console.print("stopped; the data stays (`make clean-data` forgets it)")


async def _tolerated(job: asyncio.Task[None], data: Path, console: Console, once: bool) -> None:
    """Wait for the main job; on data that somebody works with it may go another way.

    The tenant's own rules and people decide then, and that is no reason to stop the system.
    """
    worked_before = _demo_file(data).exists() and demo.load(_demo_file(data)).phones
    try:
        await job
    except demo.DemoFailed as error:
        if once or not worked_before:
            raise
        console.print(
            f"[yellow]The demo's login went another way than on new data: {error}.[/]\n"
            "The demo tenant's own rules and people decide; `make clean-data` begins anew.\n",
            soft_wrap=True,
        )
    except asyncio.CancelledError:
        job.cancel()
        await asyncio.wait({job})
        raise


def _demo_file(data: Path) -> Path:
    return data / "demo" / "tenant.json"


async def _main_job(system: System, data: Path, console: Console) -> None:
    console.print("[bold]The main job[/]: one person's login, through the public API")
    folder = data / "demo"
    folder.mkdir(mode=0o700, exist_ok=True)
    steps = iter(range(1, 100))

    def say(text: str) -> None:
        console.print(f"  {next(steps):>2}. {text}", soft_wrap=True)

    since = datetime.now(UTC)
    async with httpx2.AsyncClient(base_url=system.url, timeout=15) as http:
        known = await demo.load_or_create(
            http, _demo_file(data), operator_key=system.made.operator_key
        )
        await demo.log_in_again(http, known, say=say)
        subject_ref = await demo.first_login(http, known, folder=folder, say=say)
        demo.save(known, _demo_file(data))
    found = await demo.events_about(
        system.servers.kafka.bootstrap_servers,
        tenant=known.tenant_id,
        subject_ref=subject_ref,
        since=since,
    )
    say(f"the events of all this, read back from Kafka ({len(found)}):")
    for event in sorted(found, key=lambda one: one.time):
        console.print(f"      {readable(event)}", soft_wrap=True)
    say(f"the notice to the person is in the inbox: {system.inbox_url}\n")


def _print_addresses(system: System, data: Path, console: Console) -> None:
    known = demo.load(_demo_file(data))
    body = f'{{"subject": "{known.phones[-1].subject}"}}'
    console.print(
        f"[bold]It stays up.[/] Front door {system.url} · inbox {system.inbox_url}\n"
        f"  operator key     {system.made.operator_key}\n"
        "The front door, the manage key and the application key, to paste:\n"
        f"export WATCHWORD={system.url}\n"
        f"export MANAGE={known.manage_key}\n"
        f"export KEY={known.application_key}\n"
        "Then try:\n"
        '  curl -s $WATCHWORD/v1/decisions -H "Authorization: Bearer $KEY"'
        f" -H 'Content-Type: application/json' -d '{body}'\n"
        "  .venv/bin/watchword doctor · .venv/bin/watchword events tail --follow\n"
        "Ctrl-C stops everything.",
        soft_wrap=True,
    )


async def _stay_up(system: System, stop: asyncio.Event, console: Console) -> None:
    """Wait until asked to stop, and say once of each process that ended by itself."""
    told: set[str] = set()
    while not stop.is_set():
        for name, process in system.processes.items():
            if not process.running and name not in told:
                told.add(name)
                console.print(f"[red]{name} stopped[/]; its log: {process.command.log}")
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK_SECONDS)


async def _unless_stopped(work: asyncio.Task[Result], stop: asyncio.Event) -> Result | None:
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if work.done():
        return work.result()
    # Asked to stop in the middle: what was begun is undone by the task itself.
    work.cancel()
    await asyncio.wait({work})
    return None
