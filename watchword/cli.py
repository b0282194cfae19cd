"""watchword: start, look at and mend a system."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from deploy.local.process import LocalServerError
from libs.messaging.cloud_event import CloudEvent
from libs.messaging.kafka import BROKER_ERRORS, KafkaSettings
from watchword import authenticators, key_commands, phone, rules, subjects
from watchword import dead_letters as letters
from watchword import doctor as physician
from watchword import events as stream
from watchword import up as local
from watchword.demo import DemoFailed
from watchword.place import DEFAULT_DATA, NoSystem, Place, find_place, kafka_of

app = typer.Typer(
    help="Watchword: multi-factor authentication for many applications, on a message bus.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    add_completion=False,
)
events_app = typer.Typer(help="Read the event stream.", no_args_is_help=True)
dead_letters_app = typer.Typer(help="What could not be processed.", no_args_is_help=True)
app.add_typer(events_app, name="events")
app.add_typer(dead_letters_app, name="dead-letters")
app.add_typer(key_commands.app, name="keys")
app.add_typer(rules.app, name="rules")
app.add_typer(subjects.app, name="subjects")
app.add_typer(authenticators.app, name="authenticators")

Data = Annotated[Path, typer.Option(help="The data folder of a local system.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
KafkaAddress = Annotated[
    str | None, typer.Option(help="host:port of Kafka; else that of the data folder.")
]


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """End quietly, where rich would end with code 1."""
        _reader_left()


# What a command has to say of Kafka it says itself.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
_OUT = _Console(highlight=False)
_ERROR = Console(stderr=True, highlight=False)
Result = TypeVar("Result")
_Read = TypeVar("_Read")


def _checked(read: Callable[[str], _Read]) -> Callable[[str | None], _Read | None]:
    """Make an option's callback of a function that raises ValueError, saying what is wrong."""

    def check(text: str | None) -> _Read | None:
        try:
            return None if text is None else read(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return check


Topic = Annotated[
    str,
    typer.Option(
        help="The topic whose dead letters are meant.", callback=_checked(letters.known_topic)
    ),
]


@app.command()
def up(
    data: Data = DEFAULT_DATA,
    once: Annotated[bool, typer.Option(help="Stop after the main job.")] = False,
) -> None:
    """Start everything on this machine, perform the main job, stay up until Ctrl-C."""
    _run(local.up(data, once=once, console=_OUT))


@app.command()
def doctor(data: Data = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Say what is wrong and what to do about it; exit code 1 where something is."""
    findings = _run(physician.examine(find_place_or_exit(data)))
    if as_json:
        for finding in findings:
            _print_json(finding.as_dict())
    else:
        if physician.nothing_answers(findings):
            _OUT.print("the system is stopped; start it with `make run`")
        table = Table("", "what", "finding", "what to do", box=None)
        for finding in findings:
            mark = "[green]ok[/]" if finding.well else "[red]wrong[/]"
            table.add_row(mark, finding.what, finding.said, finding.advice)
        _OUT.print(table)
    raise typer.Exit(0 if all(finding.well for finding in findings) else 1)


@events_app.command("tail")
def events_tail(
    data: Data = DEFAULT_DATA,
    kafka: KafkaAddress = None,
    start: Annotated[
        str,
        typer.Option("--from", help="beginning, end, an ISO time, or how long ago: 90s, 2h, 1d."),
    ] = "10m",
    kind: Annotated[
        str | None,
        typer.Option(
            "--type",
            help="Only this type; mfa.reset_* for all of a kind.",
            callback=_checked(stream.known_type),
        ),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(help="Only this subject_ref.", callback=_checked(stream.whole_id)),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Only this tenant.", callback=_checked(stream.whole_id))
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show events, readable, filtered, from any point."""
    wanted = stream.Wanted(kind=kind, subject=subject, tenant=tenant)
    try:
        begin = stream.starting_point(start)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--from") from None
    found = stream.events(kafka_or_exit(data, kafka), start=begin, follow=follow, wanted=wanted)
    _run(_show(found, sort=not follow, as_json=as_json))


@dead_letters_app.command("list")
def dead_letters_list(
    topic: Topic = "mfa.events",
    data: Data = DEFAULT_DATA,
    kafka: KafkaAddress = None,
    as_json: AsJson = False,
) -> None:
    """List what a consumer gave up, and why."""
    found = _run(letters.found(kafka_or_exit(data, kafka), topic))
    for letter in found:
        if as_json:
            _print_json(letters.as_dict(letter))
        else:
            _OUT.print(letters.readable(letter), soft_wrap=True)
    if not found and not as_json:
        _OUT.print(f"no dead letters of {topic}")


@dead_letters_app.command("replay")
def dead_letters_replay(
    topic: Topic = "mfa.events",
    number: Annotated[
        list[int] | None, typer.Option(help="Only this one of the list; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be sent.")] = False,
    data: Data = DEFAULT_DATA,
    kafka: KafkaAddress = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters to their topic again, each event once; who handled it before skips it."""
    done = _run(
        letters.replay_some(kafka_or_exit(data, kafka), topic, numbers=number, dry_run=dry_run)
    )
    if as_json:
        _print_json(asdict(done) | {"dry_run": dry_run})
    else:
        verb = "would send" if dry_run else "sent"
        _OUT.print(f"{verb} {done.sent} of {done.wanted} events, of {done.letters} dead letters")
    raise typer.Exit(0 if done.sent == done.wanted else 1)


@app.command()
def code(
    key: Annotated[str, typer.Argument(help="The key to retype, with or without spaces.")],
    wait: Annotated[bool, typer.Option(help="Wait for the next code first.")] = False,
) -> None:
    """Show the code that an authenticator app with this key shows now (for trials)."""
    try:
        _OUT.print(phone.code(key, wait=wait))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="KEY") from None


async def _show(found: AsyncIterator[CloudEvent], *, sort: bool, as_json: bool) -> None:
    if not sort:
        async for event in found:
            _print_event(event, as_json=as_json)
        return
    # Partitions come one after another; only the end of all of them tells the order.
    collected = sorted([event async for event in found], key=stream.in_order)
    for event in collected:
        _print_event(event, as_json=as_json)
    if not collected:
        _ERROR.print("no events")


def _print_event(event: CloudEvent, *, as_json: bool) -> None:
    if as_json:
        _print_json(stream.as_dict(event))
    else:
        _OUT.print(stream.readable(event), soft_wrap=True)


def find_place_or_exit(data: Path) -> Place:
    try:
        return find_place(data)
    except NoSystem as error:
        _fail(str(error))


def kafka_or_exit(data: Path, kafka: str | None) -> KafkaSettings:
    try:
        return kafka_of(data, kafka)
    except NoSystem as error:
        _fail(str(error))


def _run(work: Coroutine[object, object, Result]) -> Result:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except (NoSystem, LocalServerError, DemoFailed, letters.NoSuchLetter) as error:
        _fail(str(error))
    except BROKER_ERRORS as error:
        _fail(f"Kafka does not answer ({type(error).__name__}); `watchword doctor` tells more")


def _fail(text: str) -> NoReturn:
    _ERROR.print(f"[red]{text}[/]", soft_wrap=True)
    raise typer.Exit(1)


def _print_json(content: dict[str, object]) -> None:
    try:
        sys.stdout.write(json.dumps(content, default=str) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _reader_left()


def _reader_left() -> NoReturn:
    # It (head, say) has enough; what the interpreter still flushes goes nowhere.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(0)
