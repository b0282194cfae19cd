"""Look at what rules mean for everybody: those in force, a version, or some that are not kept."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from contracts.rules import Rule
from contracts.vocabulary import Factor
from libs.clock import Clock
from libs.postgres.pool import Connection, Pool, tenant_transaction
from services.policy.domain.meeting import Alike, Asker, Fate, fate_at, mentioned, ways_of
from services.policy.domain.refusals import Mistakes, Refusal
from services.policy.domain.replay import Observed
from services.policy.domain.rules import RulesText, mistakes, published_rules, rules_for
from services.policy.domain.survey import Survey, survey
from services.policy.store import people as store
from services.policy.store import rules as rules_store
from services.policy.store.applications import load_applications
from services.policy.store.policies import load_policies

# A page takes some hundredths of a second, so that nobody waits behind it.
_PAGE = 10_000
_BEFORE_ALL = UUID(int=0)
_NO_RULES = RulesText(rules=())


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
class _Ground:
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

    async def prepare(self, tenant: UUID, draft: Draft) -> _Ground | Refusal | Mistakes:
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
        now, drafted = published_rules(in_force or _NO_RULES), published_rules(text)
        ways = ways_of(
            (policies[one.application_id].terms, rules_for(rules, one.application_id))
            for rules in (now, drafted)
            for one in asking
        )
        described = [(one.application_id, one.name) for one in asking]
        words = mentioned(now, drafted)
        return _Ground(
            before=[Asker(*one, way) for one, way in zip(described, ways, strict=False)],
            after=[
                Asker(*one, way) for one, way in zip(described, ways[len(asking) :], strict=True)
            ],
            mentioned=store.Mentioned(*words),
            moments=_moments(drafted, self.clock()),
        )

    async def look(
        self, tenant: UUID, draft: Draft, ground: _Ground
    ) -> AsyncIterator[Progress | Surveyed]:
        """Yield how far it is, and in the end what was found."""
        since = self.clock().date() - timedelta(days=draft.days)
        async with tenant_transaction(self.pool, tenant) as tx:
            of = await store.count_people(tx, tenant)
        people: Counter[Alike] = Counter()
        logins: Counter[tuple[Alike, UUID, Factor]] = Counter()
        after: UUID | None = _BEFORE_ALL
        while after is not None:
            page = await self._page(tenant, ground, after, since)
            people.update(page.people)
            for one in page.logins:
                logins[one.who, one.application_id, one.factor] += one.logins
            after = page.last
            yield Progress(people.total(), max(of, people.total()))
        observed = [Observed(*key, count) for key, count in logins.items()]
        # Beside the event loop: where many people differ, this takes a while.
        found = await asyncio.to_thread(
            survey, people, observed, before=ground.before, after=ground.after, at=draft.at
        )
        names = {one.application_id: one.name for one in ground.after}
        yield Surveyed(found, names, ground.moments)

    async def people(
        self, tenant: UUID, draft: Draft, ground: _Ground, *, fate: Fate, after: UUID, limit: int
    ) -> Found:
        """Return people who would meet this as the hardest of all their logins."""
        async with tenant_transaction(self.pool, tenant) as tx:
            found = await store.each_person(tx, tenant, ground.mentioned, after=after, most=_PAGE)
        fates: dict[Alike, Fate] = {}
        met: list[UUID] = []
        for subject_ref, who in found:
            if who not in fates:
                fates[who] = fate_at(ground.after, who, draft.at)
            if fates[who] is fate:
                met.append(subject_ref)
            if len(met) == limit:
                return Found(met, subject_ref)
        return Found(met, found[-1][0] if len(found) == _PAGE else None)

    async def _page(self, tenant: UUID, ground: _Ground, after: UUID, since: date) -> store.Page:
        async with tenant_transaction(self.pool, tenant) as tx:
            return await store.people_alike(
                tx, tenant, ground.mentioned, after=after, most=_PAGE, since=since
            )


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
