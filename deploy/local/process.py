"""Starts a server as a child process and ends it again, whatever state it is in."""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import ParamSpec, TypeVar

from deploy.local.leftovers import remember

Progress = Callable[[str], None]
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

POLL_SECONDS = 0.02
PATIENCE = timedelta(seconds=20)
LOG_TAIL_LINES = 30
LOG_LIMIT_BYTES = 10_000_000
# No more of our environment than this: PGPORT or JAVA_TOOL_OPTIONS would change a server.
INHERITED = ("PATH", "HOME", "TMPDIR", "TZ")


class LocalServerError(Exception):
    """The only exception of this package: a server could not be prepared, started or ended."""


@dataclass(frozen=True)
class Account:
    """The operating-system user that a process runs as."""

    user: int
    group: int


@dataclass(frozen=True)
class Command:
    """What to run, where its output goes and how it is asked to end."""

    name: str
    arguments: tuple[str, ...]
    log: Path
    pid_file: Path
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    environment: Mapping[str, str] = field(default_factory=dict)


def silent(message: str) -> None:
    """Takes a progress message and shows it to nobody."""


async def to_the_end(
    work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """Does blocking work in a thread, and waits for its end even when the caller is cancelled."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **named))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def clean_environment(additions: Mapping[str, str]) -> dict[str, str]:
    """Returns the few variables that a server may see."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ} | dict(additions)


class ChildProcess:
    """One server process, which can be started and ended many times."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self._popen: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def running(self) -> bool:
        """Says whether the process lives; a paused one does."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the server."""
        if self._popen is None:
            raise LocalServerError(f"{self.command.name} was never started")
        return self._popen.pid

    def start(self) -> None:
        """Starts the process; call it from a thread that lives as long as the server should."""
        if self.running:
            raise LocalServerError(f"{self.command.name} runs already, as process {self.pid}")
        command = self.command
        self._log_start = _make_room(command.log)
        account = command.account
        with command.log.open("ab") as log:
            self._popen = subprocess.Popen(
                [*_dies_with_us(command.stop_signal), *command.arguments],
                cwd="/",
                env=clean_environment(command.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal must not reach the server before we end it in order.
                start_new_session=True,
                user=account.user if account else None,
                group=account.group if account else None,
                extra_groups=[] if account else None,
            )
        remember(command.pid_file, self._popen.pid, stop_signal=command.stop_signal)

    async def ready(
        self, answers: Callable[[], Awaitable[bool]], within: timedelta = PATIENCE
    ) -> None:
        """Waits until the server answers; ends it and tells its last words when it does not."""
        deadline = time.monotonic() + within.total_seconds()
        try:
            while not await answers():
                if not self.running:
                    raise self._failure("ended before it was ready")
                if time.monotonic() > deadline:
                    raise self._failure(f"did not answer within {within.total_seconds():.0f} s")
                await asyncio.sleep(POLL_SECONDS)
            if not self.running:
                raise self._failure("ended, and something else answers on its port")
        except BaseException:
            await self.kill()
            raise

    async def stop(self, within: timedelta = PATIENCE) -> None:
        """Asks the process to end and waits for it; kills it when the time is over."""
        self.send(self.command.stop_signal)
        # A paused process can only end once it runs again.
        self.send(signal.SIGCONT)
        if not await self._ended(within):
            self.send(signal.SIGKILL)
            await self._ended(within)
        self.command.pid_file.unlink(missing_ok=True)

    async def kill(self) -> None:
        """Ends the process as a crash would."""
        self.send(signal.SIGKILL)
        await self._ended(PATIENCE)
        self.command.pid_file.unlink(missing_ok=True)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the process if it still runs."""
        if self._popen is not None:
            self._popen.send_signal(number)

    async def _ended(self, within: timedelta) -> bool:
        deadline = time.monotonic() + within.total_seconds()
        # No event either: a server may be started in one event loop and stopped in another.
        while self.running and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
        return not self.running

    def _failure(self, what: str) -> LocalServerError:
        code = self._popen.poll() if self._popen else None
        ending = "" if code is None else f" (exit code {code})"
        return LocalServerError(
            f"{self.command.name} {what}{ending}. The end of {self.command.log}:\n"
            + log_tail(self.command.log, after=self._log_start)
        )


def log_tail(log: Path, after: int = 0) -> str:
    """Returns the last lines that were written to a log behind a position."""
    with log.open("rb") as file:
        file.seek(after)
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-LOG_TAIL_LINES:])


def private_file(path: Path, text: str) -> None:
    """Writes a file that only its owner may read, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _make_room(log: Path) -> int:
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch(mode=0o600)
    if log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".old.log"))
        log.touch(mode=0o600)
    return log.stat().st_size


def _dies_with_us(stop_signal: signal.Signals) -> tuple[str, ...]:
    # PR_SET_PDEATHSIG belongs to the thread that started the child, and is cleared by a change of
    # user. So setpriv sets it last, behind the change of user that Popen makes. Where there is no
    # setpriv, the next start finds the process through its PID file.
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return ()
    return (setpriv, "--pdeathsig", stop_signal.name.removeprefix("SIG"), "--")
