"""Putting enrolling off as applications do."""

from datetime import datetime
from uuid import UUID, uuid4

import httpx2

from contracts.envelope import about_person
from contracts.policy import SUBJECT_STATE, SubjectState
from contracts.rules import Rule
from contracts.vocabulary import Language
from libs.postgres.pool import tenant_transaction
from tests.integration.verification.conftest import Application, Person, World
from tests.integration.verification.test_rules import becomes, rule

STRANGER = "nobody@example.org"


def nudging(skips: int, *, name: str = "nudge", enforced: datetime | None = None) -> Rule:
    return rule(name).model_copy(update={"skips": skips, "enforced": enforced})


async def skip(
    world: World, application: Application, name: str, *, key: str | None = None
) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {application.key}"}
    headers |= {"Idempotency-Key": key} if key else {}
    return await world.public.post("/v1/skips", json={"subject": name}, headers=headers)


async def left(world: World, application: Application, name: str) -> object:
    answer = (await world.decide(application, name)).json()
    assert answer["decision"] == "enroll"
    return answer["skips_left"]


async def arrives(world: World, tenant: UUID, *, name: str | None = None) -> Person:
    """Let somebody become known who has enrolled nothing."""
    subject, name = uuid4(), name or f"{uuid4().hex}@example.org"
    world.owners.names[subject] = name
    await becomes(world, _of(tenant, subject, name), None, version=1)
    return _of(tenant, subject, name)


def _of(tenant: UUID, subject: UUID, name: str) -> Person:
    return Person(tenant, subject, name, uuid4(), None)  # type: ignore[arg-type]


async def is_deleted(world: World, person: Person) -> None:
    state = SubjectState(
        subject_ref=person.subject_ref,
        version=9,
        deleted=True,
        user_type=None,
        groups=(),
        language=Language.ENGLISH,
    )
    about = {"tenant": person.tenant, "subject_ref": person.subject_ref}
    event = about_person(SUBJECT_STATE, state, now=world.clock(), **about)  # type: ignore[arg-type]
    async with tenant_transaction(world.plumbing.app_pool, person.tenant) as tx:
        await world.parts.events.subject(tx, event)
