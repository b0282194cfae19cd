"""The processor time of processes, as the kernel counts it for each of them (Linux only)."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

# clock_getcpuclockid(3): the clock of a whole process, ended threads included, in nanoseconds;
# /proc/<pid>/stat counts in steps of 10 ms.
_SCHEDULER_CLOCK = 2
_TICKS = os.sysconf("SC_CLK_TCK")


def own_core() -> int:
    """Return the core on which what is measured runs alone."""
    return min(_ALL_CORES)


def other_cores() -> frozenset[int]:
    """Return the cores of everything else: the same one where there is no other."""
    return _ALL_CORES - {own_core()} or _ALL_CORES


def all_cores() -> frozenset[int]:
    """Return every core that there is for us."""
    return _ALL_CORES


@contextmanager
def on_cores(cores: frozenset[int]) -> Iterator[None]:
    """Let what is started within run on these cores only, from its first instruction on."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Meter:
    """Reads the time that named servers have used, each with all processes that it started.

    Several processes under one name are several of the same server.
    """

    def __init__(self, pids: Mapping[str, Sequence[int]]) -> None:
        self._pids = dict(pids)

    def read(self) -> dict[str, float]:
        """Return seconds since the start of each."""
        return {name: sum(map(_with_children, pids)) for name, pids in self._pids.items()}


class Others:
    """Says how many cores were busy with what this process did not start, from its making on."""

    def __init__(self) -> None:
        self._mine = Meter({"mine": [os.getpid()]})
        self._began, self._all, self._own = self._read()

    def cores(self) -> float:
        """Return the mean since the start; what the kernel does for our own work is in it."""
        now, all_busy, own = self._read()
        return max(0.0, all_busy - self._all - own + self._own) / (now - self._began)

    def _read(self) -> tuple[float, float, float]:
        return time.monotonic(), _of_machine(), self._mine.read()["mine"]


def used(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return what was used between two readings."""
    return {name: after[name] - before[name] for name in after}


def _with_children(pid: int) -> float:
    process = psutil.Process(pid)
    living = [pid, *(child.pid for child in process.children(recursive=True))]
    return _of_ended_children(pid) + sum(_of_process(one) for one in living)


def _of_process(pid: int) -> float:
    try:
        return time.clock_gettime((~pid << 3) | _SCHEDULER_CLOCK)
    except OSError:
        # It ended since it was listed: its parent's account of ended children has it now.
        return 0.0


def _of_machine() -> float:
    # user, nice, system, idle, iowait, irq, softirq, steal (proc_stat(5)).
    numbers = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    ticks = [int(number) for number in numbers]
    return (sum(ticks) - ticks[3] - ticks[4]) / _TICKS


def _of_ended_children(pid: int) -> float:
    # The command's name stands in brackets and may hold anything; cutime and cstime are fields
    # 16 and 17 (proc_pid_stat(5)).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / _TICKS


_ALL_CORES = frozenset(os.sched_getaffinity(0))
