"""Finds and ends servers that an earlier run left behind, without ever hitting a stranger."""

import asyncio
import json
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

POLL_SECONDS = 0.02
PATIENCE_SECONDS = 15.0
# psutil derives the moment of birth from the boot time, which moves when the clock is set.
BIRTH_TOLERANCE_SECONDS = 2.0


def remember(pid_file: Path, pid: int, *, stop_signal: signal.Signals) -> None:
    """Writes down which process was started, so well that a reused process id is noticed."""
    pid_file.parent.mkdir(parents=True, exist_ok=True)
    try:
        born = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return
    note = {"pid": pid, "born": born, "stop_signal": stop_signal.name}
    pid_file.write_text(json.dumps(note), encoding="utf-8")


async def end_leftovers(folder: Path) -> None:
    """Ends every remembered process of a folder that still lives."""
    for pid_file in _notes(folder):
        found = _remembered(pid_file)
        if found is not None:
            process, stop_signal = found
            await end_all([process], stop_signal)
        pid_file.unlink(missing_ok=True)


async def end_all(processes: Iterable[psutil.Process], *signals: signal.Signals) -> None:
    """Sends the signals, each with some patience, then SIGKILL, until all processes are gone."""
    living = list(processes)
    for number in (*signals, signal.SIGKILL):
        for process in living:
            _send(process, number)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while living and time.monotonic() < deadline:
            living = [process for process in living if not _gone(process)]
            await asyncio.sleep(POLL_SECONDS)


def _notes(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.pid"))


def _remembered(pid_file: Path) -> tuple[psutil.Process, signal.Signals] | None:
    try:
        note = json.loads(pid_file.read_text(encoding="utf-8"))
        process = psutil.Process(int(note["pid"]))
        if abs(process.create_time() - float(note["born"])) > BIRTH_TOLERANCE_SECONDS:
            return None
        return process, signal.Signals[note["stop_signal"]]
    except (psutil.Error, ValueError, KeyError, TypeError):
        return None


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
    except psutil.NoSuchProcess:
        return


def _gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE or not process.is_running()
    except psutil.NoSuchProcess:
        return True
