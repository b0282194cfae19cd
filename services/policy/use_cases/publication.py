"""A version of the rules comes into force, for all applications at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from libs.postgres.pool import Connection
from services.policy.announcements import Announcement, policies_ruled, rules_published
from services.policy.domain.acts import PublishRules
from services.policy.domain.policy import Policy, Ruled, Terms, ruled_policy
from services.policy.domain.proposals import Look
from services.policy.domain.refusals import Mistakes, Refusal
from services.policy.domain.rules import lockouts, mistakes, published_rules, rules_for
from services.policy.domain.versions import Publication, RulesVersion
from services.policy.domain.weakening import InForce, weakenings
from services.policy.store import rules as store
from services.policy.store.announcements import announce_all
from services.policy.store.applications import lock_applications
from services.policy.store.policies import add_ruled, load_policies

# Between two portions others have their turn.
_AT_ONCE = 25


async def look_at_publication(
    tx: Connection, tenant: UUID, act: PublishRules, *, weighed: bool = True
) -> Look | Refusal | Mistakes:
    """Return how it would weaken the rules of a locked tenant; what is in force does not.

    Where one owner is enough nobody asks, so that nothing is `weighed`.
    """
    found = await store.load_version(tx, tenant, act.version)
    last = await store.last_publication(tx, tenant)
    if found is None:
        return Refusal.UNKNOWN
    if last is not None and last.version == act.version:
        return Look((), last.number)
    if (last.version if last is not None else None) != act.replaces:
        return Refusal.OTHER_RULES_IN_FORCE
    policies = await load_policies(tx, tenant)
    # What can be enrolled, and the applications, may be others than when it was written.
    if wrong := (*mistakes(found.text, frozenset(policies)), *lockouts(found.text)):
        return Mistakes(wrong)
    number = last.number if last is not None else 0
    if not weighed:
        return Look((), number)
    before = await store.version_in_force(tx, tenant)
    terms = {about: policy.terms for about, policy in policies.items()}
    # What an application itself asks may decide afterwards: each change of it counts, as each
    # publication does. A new application comes with version 1.
    changes = sum(policy.version - 1 for policy in policies.values())
    return Look(_because(before, found, terms), number + changes)


def _because(
    before: RulesVersion | None, after: RulesVersion, terms: Mapping[UUID, Terms]
) -> tuple[str, ...]:
    rules = published_rules(before.text) if before is not None else ()
    return weakenings(InForce(rules, terms), InForce(published_rules(after.text), terms))


async def bring_into_force(
    tx: Connection, tenant: UUID, act: PublishRules, *, by: UUID, now: datetime
) -> None:
    """Publish what was looked at; what is in force already mends only who is without it."""
    found = await store.load_version(tx, tenant, act.version)
    last = await store.last_publication(tx, tenant)
    if found is None:
        raise LookupError("what was looked at is there")
    said: list[Announcement] = []
    if last is None or last.version != found.version:
        number = last.number + 1 if last is not None else 1
        publication = Publication(number, found.version, by, act.reason, now)
        await store.add_publication(tx, tenant, publication)
        said = [rules_published(tenant, found, replaced=act.replaces, by=by, now=now)]
    changed = await _policies_under(tx, tenant, found)
    for portion in (changed[n : n + _AT_ONCE] for n in range(0, len(changed), _AT_ONCE)):
        await add_ruled(tx, tenant, portion, changed_by=by, now=now)
        said += policies_ruled(tenant, portion, changed_by=by, now=now)
    await announce_all(tx, said)


async def rules_in_force(tx: Connection, tenant: UUID, application_id: UUID) -> Ruled:
    """Return the rules for an application of a locked tenant: they stay what they are."""
    found = await store.version_in_force(tx, tenant)
    return _Sets(found).of(application_id) if found is not None else Ruled()


class _Sets:
    """The rules of one version, by application; what is the same is one object."""

    def __init__(self, found: RulesVersion) -> None:
        self._found = found
        self._rules = published_rules(found.text)
        self._known: dict[Sequence[str], Ruled] = {}

    def of(self, application_id: UUID) -> Ruled:
        """Return the rules that can be about an application."""
        rules = rules_for(self._rules, application_id)
        version, digest = self._found.version, self._found.digest
        return self._known.setdefault(
            tuple(rule.name for rule in rules), Ruled(rules, version=version, digest=digest)
        )


async def _policies_under(tx: Connection, tenant: UUID, found: RulesVersion) -> list[Policy]:
    """Return the next policy of each application that is not under this version."""
    # The application's row is the lock of its policy.
    await lock_applications(tx, tenant)
    stored, sets = await load_policies(tx, tenant), _Sets(found)
    return [
        ruled_policy(policy, sets.of(about))
        for about, policy in stored.items()
        if policy.ruled.version != found.version
    ]
