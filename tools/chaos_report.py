"""What the long fault runs mean, and the two documents about how they ended."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from tests.integration.verification.runs import INVARIANTS

MUST_BE_ZERO = (
    *INVARIANTS,
    "lost",
    "never_committed",
    "order_violations",
    "without_effect",
    "twice",
    "changed",
    "failed_rounds",
    "logins_failed",
    "rows_left_on_old_keys",
    "retired_keys_that_open",
)


@dataclass(frozen=True)
class Row:
    """One run for people: what is done, and what must hold meanwhile."""

    what: str
    holds: str


@dataclass(frozen=True)
class Result:
    """How one run ended."""

    numbers: Mapping[str, int]
    rounds: int
    seconds: int


ROWS = {
    "R1": Row(
        "one code many times at once to two processes",
        "accepted exactly once",
    ),
    "R2": Row(
        "the codes of step N and N + 1 at the border between them, then both again",
        "each accepted at most once, none again",
    ),
    "order": Row(
        "two settlers, revocations and claims over the same people",
        "each person's events are numbered without a gap, one for each acceptance; no deadlock",
    ),
    "model": Row(
        "codes and guesses in any order with faults of Redis, new processes and time that passes",
        "each code once, never more guesses than the budget (a model of ten lines says so)",
    ),
    "R3": Row(
        "10,000 wrong codes for one person to two processes, each from a new caller",
        "evaluated: the limit and not one more; all answers alike",
    ),
    "R4": Row(
        "Valkey emptied every few milliseconds and killed several times a second in a flood",
        "wrong codes evaluated: the limit and what was in flight at most (`bound`);"
        " no right code accepted twice or refused",
    ),
    "R5": Row(
        "replication stalled, the replica promoted, the old primary still served to one process",
        "none accepted twice; evaluated: the limit and what was in flight at most (`bound`)",
    ),
    "R6": Row(
        "every policy that forgets; a Redis that is full; a policy that changes at work",
        "refused; PostgreSQL counts every guess; left alone within seconds",
    ),
    "R7": Row(
        "Redis 200 ms slower, then silent, under load",
        "judged from PostgreSQL within 2 s, with Redis again within 10 s; tasks and connections"
        " bounded",
    ),
    "R8": Row(
        "Redis emptied at full load",
        "one load a person at a time, no more connections than the pool has",
    ),
    "R9": Row(
        "three times as many requests as can be judged, for 60 s",
        "at least 80 % of the maximum is judged meanwhile; p99 normal again within 10 s",
    ),
    "R10": Row(
        "kill -9 of verification after reserving, while and after committing, before answering",
        "no acceptance without its event and vice versa; a repeat with the same Idempotency-Key"
        " gets the first answer",
    ),
    "R11": Row(
        "every second request cancelled somewhere",
        "no foreign reply, no connection and no more than one guess per request left behind",
    ),
    "R12": Row(
        "kill -9 of PostgreSQL under load",
        "no acknowledged acceptance missing, none twice; meanwhile 503; no restart needed",
    ),
    "R13": Row(
        "fail over to a synchronous standby under load, and back, with a DSN that names both; then"
        " a primary that takes no writes",
        "as R12; a server that takes no writes accepts nothing; no restart needed",
    ),
    "R14": Row(
        "kill a primary whose asynchronous standby stopped hearing from it, promote that one, show"
        " it every code it forgot, and the phones' next ones",
        "no code accepted that was accepted before; everybody is let in within 90 s",
    ),
    "R15": Row(
        "every process of PostgreSQL stopped (SIGSTOP) under load",
        "nothing is accepted meanwhile, nothing acknowledged is missing; no restart needed",
    ),
    "R15-row": Row(
        "the rows of one tenant's people locked by somebody else",
        "theirs is a 503 each, and works later; another tenant notices nothing (p99)",
    ),
    "R15-disk": Row(
        "no space for PostgreSQL's log, until it ends itself; then space again",
        "as R15",
    ),
    "R16": Row(
        "kill -9 and freezing of the only Kafka broker under load",
        "no event lost or out of order, each effect once",
    ),
    "R18": Row(
        "relay killed between sending and deleting; two relays active at once",
        "no event lost or out of order (duplicates are allowed, and dropped by every consumer)",
    ),
    "R19": Row(
        "30 writers, random lengths and roll-backs; one transaction idle for 60 s",
        "no event lost, swapped, or published without a commit",
    ),
    "R20": Row(
        "consumers killed, and frozen past their session",
        "each effect once",
    ),
    "R21": Row(
        "every record twice and out of order, then the whole topic again",
        "each effect once, nothing changed by the replay",
    ),
    "R27": Row(
        "one of two nodes has a clock that is wrong by 10 min and 1 h, either way",
        "no code accepted outside the true window or twice, no guess over the limit; the node takes"
        " itself out within 5 s and comes back by itself",
    ),
    "R27-leaps": Row(
        "the clock of one of two nodes leaps by 400 ms to and fro",
        "no code accepted outside its window or twice",
    ),
    "R29": Row(
        "data keys and what wraps them replaced at full load, by workers that are killed at random",
        "no login fails; no row is left on an old key; no retired key opens anything",
    ),
    "R32": Row(
        "a process without file descriptors, without memory, with a full log",
        "no acceptance without event, none twice; a repeat elsewhere gets the answer",
    ),
    "R32-blocked": Row(
        "the event loop blocked for 2 s in the middle",
        "the lag shows; nobody is refused or accepted by mistake",
    ),
    "R40": Row(
        "kill -9 of PostgreSQL, Valkey and both processes at once, started again in any order",
        "nothing acknowledged is missing, nothing accepted twice, repeats get the first answer",
    ),
    "R36": Row(
        "one tenant asks 50 times as much as another, together more than can be judged",
        "nobody of the other is turned away",
    ),
    "S5": Row(
        "six kinds of refusal in a random order, for a stranger and for who may know the reason",
        "the same bytes; Welch's |t| of the times at most 4.5 for the stranger",
    ),
}


def broken(result: Result) -> dict[str, int]:
    """Return the numbers that must be 0 and are not."""
    return {name: result.numbers[name] for name in MUST_BE_ZERO if result.numbers.get(name)}


def write_report(results: Mapping[str, Result], folder: Path) -> None:
    """Write both documents; runs that were left out keep their former results."""
    data = folder / "reliability.json"
    known: dict[str, dict[str, object]] = json.loads(data.read_text()) if data.exists() else {}
    for name, result in results.items():
        known[name] = {
            "rounds": result.rounds,
            **result.numbers,
            "seconds": result.seconds,
            "date": datetime.now(UTC).date().isoformat(),
            "machine": _machine(),
        }
    ordered = {name: known[name] for name in ROWS if name in known}
    data.write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")
    (folder / "reliability.md").write_text(_document(ordered), encoding="utf-8")


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB"


def _document(known: Mapping[str, Mapping[str, object]]) -> str:
    lines = [
        "# What the fault runs found",
        "",
        "Written by `make chaos` on real PostgreSQL, Valkey and Kafka; do not edit. Every pull",
        "request runs short forms of the same (the tests marked `fault`). The names are those of",
        "the reliability plan. Everything in the column *broken* would be a broken promise.",
        "",
        "| run | what is done | what must hold | broken | seen | when, where |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_line(name, numbers) for name, numbers in known.items()]
    return "\n".join(lines) + "\n"


def _line(name: str, numbers: Mapping[str, object]) -> str:
    row = ROWS[name]
    counts = {key: value for key, value in numbers.items() if key in MUST_BE_ZERO}
    rest = {
        key: value
        for key, value in numbers.items()
        if key not in MUST_BE_ZERO and key not in ("date", "machine")
    }
    bad = ", ".join(f"**{key} {value}**" for key, value in counts.items() if value)
    none = "none of: " + ", ".join(key.replace("_", " ") for key in counts)
    seen = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in rest.items())
    place = f"{numbers['date']}, {numbers['machine']}"
    return f"| {name} | {row.what} | {row.holds} | {bad or none} | {seen} | {place} |"
