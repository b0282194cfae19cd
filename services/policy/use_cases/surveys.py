"""Look at what rules mean for everybody: those in force, a version, or some that are not kept."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

from contracts.rules import Rule
from contracts.vocabulary import Factor
from libs.clock import Clock
from libs.postgres.pool import Connection, Pool, tenant_transaction
from services.policy.domain.application import Application
from services.policy.domain.policy import Terms
from services.policy.domain.refusals import Mistakes, Refusal
from services.policy.domain.rules import RulesText, mistakes, published_rules, rules_of_each
from services.policy.domain.survey import (
    Fate,
    Observed,
    Survey,
    fate_at,
    mentioned,
    no_survey,
    survey,
)
from services.policy.domain.ways import Alike, Asker, ways_of
from services.policy.store import people as store
from services.policy.store import rules as rules_store
from services.policy.store.applications import load_applications
from services.policy.store.policies import load_policies

# Statements may take 2 s: a page takes 0.3 s where each of 200,000 people logged in on 20 days
# (measured on two cores with three times their load of other work).
_PAGE = 2_000
# Of those who are listed each may be unlike the others.
_LISTED = 1_000
# So many who differ are kept in memory before they are looked at, and looked at in one go.
_MOST_ALIKE = 20_000
_AT_ONCE = 500
_BEFORE_ALL = UUID(int=0)
_NO_RULES = RulesText(rules=())
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Draft:
    """Which rules are looked at, and for when; without any, those in force."""

    at: datetime
    days: int
    text: RulesText | None = None
    version: int | None = None


@dataclass(frozen=True)
class Progress:
    """How many people were looked at, of how many."""

    done: int
    of: int


@dataclass(frozen=True)
class Surveyed:
    """What was found, and under which names the applications are known."""

    survey: Survey
    names: dict[UUID, str]
    moments: Sequence[datetime]


@dataclass(frozen=True)
class Found:
    """Some of the people who meet a fate, and after whom to go on; None at the end."""

    subject_refs: Sequence[UUID]
    last: UUID | None


@dataclass(frozen=True)
class Ground:
    """The applications before and after, and what the rules of both ask for."""

    before: Sequence[Asker]
    after: Sequence[Asker]
    mentioned: store.Mentioned
    moments: Sequence[datetime]


@dataclass(frozen=True)
class Surveys:
    """Looks, and changes nothing."""

    pool: Pool
    clock: Clock

    async def prepare(self, tenant: UUID, draft: Draft) -> Ground | Refusal | Mistakes:
        """Return the applications under the rules in force and under the draft."""
        async with tenant_transaction(self.pool, tenant) as tx:
            applications = await load_applications(tx, tenant)
            text = await _text(tx, tenant, draft)
            if text is None:
                return Refusal.UNKNOWN
            ids = frozenset(one.application_id for one in applications)
            if draft.text is not None and (wrong := mistakes(text, ids)):
                return Mistakes(wrong)
            policies = await load_policies(tx, tenant)
            in_force = await _text(tx, tenant, Draft(draft.at, draft.days))
        # Where no key may verify, nobody logs in.
        asking = [one for one in applications if one.asks]
        terms = {about: policy.terms for about, policy in policies.items()}
        # Beside the event loop: many applications with many rules each take a while.
        return await asyncio.to_thread(
            _ground, asking, terms, in_force or _NO_RULES, text, now=self.clock()
        )

    async def look(
        self, tenant: UUID, draft: Draft, ground: Ground
    ) -> AsyncIterator[Progress | Surveyed]:
        """Yield how far it is, and in the end what was found."""
        since = self.clock().date() - timedelta(days=draft.days)
        async with tenant_transaction(self.pool, tenant) as tx:
            of = await store.count_people(tx, tenant)
        found, seen = no_survey(ground.before, ground.after), 0
        people: Counter[Alike] = Counter()
        logins: Counter[tuple[Alike, UUID, Factor]] = Counter()
        after: UUID | None = _BEFORE_ALL
        while after is not None:
            page = await self._page(tenant, ground, after, since)
            people.update(page.people)
            for one in page.logins:
                logins[one.who, one.application_id, one.factor] += one.logins
            after, seen = page.last, seen + page.people.total()
            yield Progress(seen, max(of, seen))
            if after is None or len(people) + len(logins) >= _MOST_ALIKE:
                async for _ in _surveyed(found, people, logins, ground, draft.at):
                    yield Progress(seen, max(of, seen))
                people.clear()
                logins.clear()
        names = {one.application_id: one.name for one in ground.after}
        yield Surveyed(found, names, ground.moments)

    async def people(
        self, tenant: UUID, draft: Draft, ground: Ground, *, fate: Fate, after: UUID, limit: int
    ) -> Found:
        """Return people who would meet this as the hardest of all their logins."""
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await store.each_person(tx, tenant, ground.mentioned, after=after, most=_LISTED)
        alike = {who for _, who in found}
        fates = await asyncio.to_thread(_fates, ground.after, alike, draft.at)
        met: list[UUID] = []
        for subject_ref, who in found:
            if fates[who] is fate:
                met.append(subject_ref)
            if len(met) == limit:
                return Found(met, subject_ref)
        return Found(met, found[-1][0] if len(found) == _LISTED else None)

    async def _page(self, tenant: UUID, ground: Ground, after: UUID, since: date) -> store.Page:
        async with tenant_transaction(self.pool, tenant) as tx:
            return await store.people_alike(
                tx, tenant, ground.mentioned, after=after, most=_PAGE, since=since
            )


def _ground(
    asking: Sequence[Application],
    terms: Mapping[UUID, Terms],
    in_force: RulesText,
    draft: RulesText,
    *,
    now: datetime,
) -> Ground:
    ids = [one.application_id for one in asking]
    before, after = published_rules(in_force), published_rules(draft)
    ways = ways_of(
        (terms[about], rules[about])
        for rules in (rules_of_each(before, ids), rules_of_each(after, ids))
        for about in ids
    )
    described = [(one.application_id, one.name) for one in asking]
    words = mentioned(before, after)
    return Ground(
        before=[Asker(*one, way) for one, way in zip(described, ways, strict=False)],
        after=[Asker(*one, way) for one, way in zip(described, ways[len(asking) :], strict=True)],
        mentioned=store.Mentioned(*words),
        moments=_moments(after, now),
    )


async def _surveyed(
    found: Survey,
    people: Mapping[Alike, int],
    logins: Mapping[tuple[Alike, UUID, Factor], int],
    ground: Ground,
    at: datetime,
) -> AsyncIterator[None]:
    """Add to what was found, beside the event loop, and stop between two portions.

    Nobody can stop a thread: whoever goes away leaves one portion behind, and not all of them.
    """
    said = partial(survey, before=ground.before, after=ground.after, at=at, found=found)
    portions: list[tuple[Mapping[Alike, int], Sequence[Observed]]] = [
        *((dict(some), ()) for some in _portions([*people.items()], _AT_ONCE)),
        *(
            ({}, [Observed(*key, count) for key, count in some])
            for some in _portions([*logins.items()], _AT_ONCE)
        ),
    ]
    for number, portion in enumerate(portions):
        if number:
            yield
        await asyncio.to_thread(said, *portion)


def _fates(asking: Sequence[Asker], alike: Collection[Alike], at: datetime) -> dict[Alike, Fate]:
    return {who: fate_at(asking, who, at) for who in alike}


def _portions(items: Sequence[_Item], most: int) -> Iterator[Sequence[_Item]]:
    return (items[first : first + most] for first in range(0, len(items), most))


async def _text(tx: Connection, tenant: UUID, draft: Draft) -> RulesText | None:
    if draft.text is not None:
        return draft.text
    version = draft.version
    if version is None:
        last = await rules_store.last_publication(tx, tenant)
        if last is None:
            return _NO_RULES
        version = last.version
    found = await rules_store.load_version(tx, tenant, version)
    return found.text if found is not None else None


def _moments(rules: Sequence[Rule], now: datetime) -> Sequence[datetime]:
    """Return when something changes by itself from now on."""
    times = {time for rule in rules for time in (rule.starts, rule.enforced, rule.ends)}
    return sorted(time for time in times if time is not None and time > now)
