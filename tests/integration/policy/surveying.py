"""People with factors and logins, as events have told policy of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from contracts.enrollment import (
    AUTHENTICATOR_REMOVED,
    ENROLLED,
    AuthenticatorRemoved,
    Enrolled,
    RemovalReason,
)
from contracts.envelope import about_person
from contracts.vocabulary import Factor
from libs.messaging.cloud_event import CloudEvent
from libs.postgres.pool import tenant_transaction
from services.policy.consumer import Events
from services.policy.store.logins import LoginDay, add_logins
from tests.integration.policy.bench import Bench, Tenant


async def application(tenant: Tenant, **policy: Any) -> UUID:
    """Make an application where people log in."""
    terms = {"requirement": "off", "factors": []} | policy
    body = {"name": "Payroll", "scopes": ["verify"], "policy": terms}
    made = await tenant.api("POST", "/v1/applications", body)
    assert made.status_code == 201, made.text
    return UUID(made.json()["application_id"])


async def person(tenant: Tenant, **attributes: Any) -> UUID:
    """Make a subject."""
    made = await tenant.api("POST", "/v1/subjects", {"subject": uuid4().hex} | attributes)
    assert made.status_code == 201, made.text
    return UUID(made.json()["subject_ref"])


def enrolled(
    tenant: Tenant, subject: UUID, authenticator: UUID, factor: Factor, *, now: datetime
) -> CloudEvent:
    """Return what enrollment says of a new authenticator."""
    data = Enrolled(
        authenticator_id=authenticator,
        enrollment_id=uuid4(),
        application_id=tenant.application_id,
        factor=factor,
        epoch=1,
    )
    return about_person(ENROLLED, data, tenant=tenant.tenant_id, subject_ref=subject, now=now)


def removed(
    tenant: Tenant, subject: UUID, authenticator: UUID, factor: Factor, *, now: datetime
) -> CloudEvent:
    """Return what enrollment says of one that is gone."""
    data = AuthenticatorRemoved(
        authenticator_id=authenticator,
        factor=factor,
        epoch=2,
        reason=RemovalReason.REMOVED,
        reset_id=None,
    )
    return about_person(
        AUTHENTICATOR_REMOVED, data, tenant=tenant.tenant_id, subject_ref=subject, now=now
    )


async def told(bench: Bench, event: CloudEvent) -> None:
    """Let an event reach policy."""
    async with tenant_transaction(bench.plumbing.app_pool, event.tenant) as tx:
        await Events().handlers()[event.type](tx, event)


async def has(bench: Bench, tenant: Tenant, subject: UUID, *factors: Factor) -> None:
    """Let somebody have enrolled these."""
    for factor in factors:
        now = bench.plumbing.clock()
        await told(bench, enrolled(tenant, subject, uuid4(), factor, now=now))


async def logged_in(
    bench: Bench,
    tenant: Tenant,
    subject: UUID,
    application_id: UUID,
    factor: Factor,
    times: int,
    *,
    at: datetime | None = None,
) -> None:
    """Let somebody have logged in so often, on one day."""
    day = (at or bench.plumbing.clock()).date()
    login = LoginDay(tenant.tenant_id, subject, application_id, day, factor.value)
    place = (uuid4().hex, 0)
    counted = [(offset, login) for offset in range(times)]
    pool = bench.plumbing.worker_pool
    assert await add_logins(pool, place, counted, following=times) == times


def required(name: str, user_type: str, **said: Any) -> Mapping[str, Any]:
    """Return a rule that requires TOTP of a type of users."""
    match = {"user_types": [user_type]}
    return {"name": name, "match": match, "requirement": "required", "factors": ["totp"]} | said
