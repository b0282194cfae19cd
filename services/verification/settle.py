"""Settle: the one place where a code is accepted, for many requests in one statement.

Requests that arrive while a commit runs settle together in the next one: no timer, one connection.
Never two of one subject in a batch. A row that somebody else has locked is left out, and its entry
tried again with a later batch: nobody waits for the lock of another.
"""

import asyncio
import random
from contextlib import suppress
from datetime import timedelta
from importlib.resources import files

import asyncpg
import msgspec
import structlog

from contracts.envelope import application_key
from contracts.topics import APPLICATIONS, EVENTS, POLICIES
from libs.batching import Batches
from libs.postgres.line import FAILURES, Line
from services.verification.authority import note_promotion
from services.verification.domain.budget import Budget, Family
from services.verification.domain.clock import TOLERANCE
from services.verification.domain.promotion import MARGIN, RECOVERY_CODES_WAIT
from services.verification.entries import Entry, Settled, columns, of_keys_seen

_LOG = structlog.get_logger("settle")
_SETTLE = files(__package__).joinpath("settle.sql").read_text()
_WHY_LEFT_OUT = files(__package__).joinpath("left_out.sql").read_text()
_LARGEST_BATCH = 256
# For so long the same Idempotency-Key gets the first answer.
ANSWERS_KEPT = timedelta(minutes=15)
# How long a request may take in all.
LONGEST_REQUEST = timedelta(seconds=5)
_TIMEOUT_SECONDS = 3.0
# Below our own limit, so that what we call failed cannot still commit.
_STATEMENT_TIMEOUT_MS = 2500
# For locks that are not looked for: no row but a subject's or an application's is ever fought over.
_LOCK_TIMEOUT_MS = 500
# Who has waited longer for the batch before is not begun, and hears so within our own limit.
_PATIENCE = timedelta(seconds=1.5)
# How long an entry may find its row locked, and how long it waits before it looks again.
_LONGEST_LOCKED = timedelta(milliseconds=500)
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.002, 0.02


class AuthorityDown(Exception):  # noqa: N818
    """PostgreSQL did not settle: nothing was accepted, and if it was, a repeat gets the answer."""


class ClockOff(AuthorityDown):
    """Our clock is too far from PostgreSQL's: nothing is judged here."""


class NotNow(msgspec.Struct, frozen=True):
    """Nothing is done yet: somebody else has locked a row, or has the same Idempotency-Key."""


_NOTHING = Settled(took_effect=False)
_NOT_NOW = NotNow()
_LEFT_OUT: dict[str, Settled | NotNow] = {
    "nothing": _NOTHING,
    "locked": _NOT_NOW,
    "promoted": _NOT_NOW,
}


class Settler:
    """Settles entries in batches on one connection of the narrow role."""

    def __init__(
        self,
        dsn: str,
        *,
        budget: Budget,
        clock_tolerance: timedelta = TOLERANCE,
        quarantine: bool = True,
    ) -> None:
        self._line = Line(
            dsn,
            name="settle",
            seconds=_TIMEOUT_SECONDS,
            server_settings={
                "lock_timeout": str(_LOCK_TIMEOUT_MS),
                "statement_timeout": str(_STATEMENT_TIMEOUT_MS),
                "plan_cache_mode": "force_generic_plan",
            },
        )
        self._limits = (float(budget.capacity), budget.per_second, budget.consecutive)
        self._before_waiting = budget.before_waiting
        self._quarantine = quarantine
        # An entry was young when it was made, and may have waited.
        self._timely = (LONGEST_REQUEST + clock_tolerance, clock_tolerance)
        self._closed = False
        self._batches: Batches[Entry, Settled | NotNow] = Batches(
            self._settle_batch,
            largest=_LARGEST_BATCH,
            patience=_PATIENCE,
            apart=lambda entry: (entry.caller.tenant, entry.subject_ref),
        )

    async def settle(self, entry: Entry) -> Settled:
        """Return when the entry is durable.

        Raises AuthorityDown where nobody can say, TimeoutError where it was not begun.
        """
        if self._closed:
            raise AuthorityDown("stopping")
        settled = await self._batches.do(entry)
        return settled if isinstance(settled, Settled) else await self._settle_again(entry)

    async def _settle_again(self, entry: Entry) -> Settled:
        """Try a little longer to settle what found its row locked by somebody else."""
        time, pause = asyncio.get_running_loop().time, _SHORTEST_PAUSE
        end = time() + _LONGEST_LOCKED.total_seconds()
        while not self._closed:
            # Not all at the same moment: several processes may be after one row.
            await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - no secret
            pause = min(_LONGEST_PAUSE, 1.5 * pause)
            settled = await self._batches.do(entry)
            if isinstance(settled, Settled):
                return settled
            if time() > end:
                _LOG.warning("a row stays locked")
                raise AuthorityDown("locked by another transaction")
        raise AuthorityDown("stopping")

    async def run(self, stop: asyncio.Event) -> None:
        """Wait until asked to stop, then settle what waits (a part of the process)."""
        try:
            await stop.wait()
        finally:
            self._closed = True
            await self._batches.drained()
            # A PostgreSQL that hangs must not turn an orderly stop into a crash.
            with suppress(*FAILURES):
                await self._line.close()

    async def _settle_batch(self, entries: list[Entry]) -> list[Settled | NotNow | Exception]:
        later = of_keys_seen(entries)
        if not later:
            return await self._settle_all(entries)
        settled = iter(await self._settle_all([e for n, e in enumerate(entries) if n not in later]))
        return [_NOT_NOW if n in later else next(settled) for n in range(len(entries))]

    async def _settle_all(self, entries: list[Entry]) -> list[Settled | NotNow | Exception]:
        try:
            return await self._write(entries)
        except asyncpg.NotNullViolationError:
            # Another process has just accepted something under one of these Idempotency-Keys.
            return [_NOT_NOW] * len(entries)
        except FAILURES as error:
            _LOG.warning("settle failed", exception=type(error).__name__, entries=len(entries))
            return [AuthorityDown(type(error).__name__) for _ in entries]

    async def _write(self, entries: list[Entry]) -> list[Settled | NotNow | Exception]:
        rows = {row["n"]: row for row in await self._line.fetch(_SETTLE, *self._arguments(entries))}
        settled: list[Settled | NotNow | Exception] = [
            _settled(rows[n]) if n in rows else _NOTHING for n in range(len(entries))
        ]
        unclear = [n for n, entry in enumerate(entries) if _is_unclear(entry, rows.get(n))]
        if unclear:
            await self._explain(entries, unclear, settled)
        return settled

    async def _explain(
        self, entries: list[Entry], unclear: list[int], settled: list[Settled | NotNow | Exception]
    ) -> None:
        try:
            reasons = await self._why_left_out(entries, unclear)
        except FAILURES as error:
            # The others are settled: only of these nobody can say why.
            reasons = {}
            for n in unclear:
                settled[n] = AuthorityDown(type(error).__name__)
        for n, why in reasons.items():
            # A new exception each time: one that is kept gathers tracebacks.
            clock_off = why == "clock"
            settled[n] = ClockOff("this node's clock is off") if clock_off else _LEFT_OUT[why]

    async def _why_left_out(self, entries: list[Entry], unclear: list[int]) -> dict[int, str]:
        of = [entries[n] for n in unclear]
        rows = await self._line.fetch(
            _WHY_LEFT_OUT,
            unclear,
            [entry.caller.tenant for entry in of],
            [entry.subject_ref for entry in of],
            [entry.now for entry in of],
            [entry.acceptance is not None for entry in of],
            [application_key(entry.caller.tenant, entry.caller.application_id) for entry in of],
            [entry.caller.version for entry in of],
            [entry.caller.policy_version for entry in of],
            *self._timely,
            APPLICATIONS.name,
            POLICIES.name,
        )
        reasons: dict[int, str] = {n: why for n, why in rows}
        if "promoted" in reasons.values():
            await note_promotion(self._line, quarantine=self._quarantine)
        return reasons

    def _arguments(self, entries: list[Entry]) -> list[object]:
        callers = {caller: n for n, caller in enumerate({entry.caller for entry in entries})}
        return [
            *columns(entries, callers),
            *self._limits,
            EVENTS.name,
            APPLICATIONS.name,
            list(callers.values()),
            [caller.tenant for caller in callers],
            [caller.application_id for caller in callers],
            [application_key(caller.tenant, caller.application_id) for caller in callers],
            [caller.version for caller in callers],
            ANSWERS_KEPT,
            [entry.acceptance is not None and entry.acceptance.pair for entry in entries],
            *self._timely,
            MARGIN,
            RECOVERY_CODES_WAIT,
            POLICIES.name,
            [caller.policy_version for caller in callers],
            [entry.family is Family.RECOVERY for entry in entries],
            self._before_waiting,
            [entry.acceptance and entry.acceptance.copy_version for entry in entries],
        ]


def _settled(row: asyncpg.Record) -> Settled:
    if not row["took_effect"]:
        return Settled(False, version=row["cache_version"])
    return Settled(True, row["consecutive"], row["spent"], row["cache_version"])


def _is_unclear(entry: Entry, row: asyncpg.Record | None) -> bool:
    """Tell whether an entry was left out, or its caller was."""
    return row is None or (entry.acceptance is not None and row["without_caller"])
