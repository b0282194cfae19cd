"""People who hold keys of a tenant."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from contracts.roles import Role
from tests.integration.policy.bench import Api, Tenant


@dataclass(frozen=True)
class Person:
    """Somebody with a key; `tenant` is the tenant as this person sees it."""

    subject_ref: str
    key_id: str
    tenant: Tenant

    @property
    def api(self) -> Api:
        return self.tenant.api


async def a_subject(tenant: Tenant) -> str:
    """Make a subject and return its subject_ref."""
    made = await tenant.api("POST", "/v1/subjects", {"subject": f"p{uuid4().hex}"})
    subject_ref: str = made.json()["subject_ref"]
    return subject_ref


async def a_person(tenant: Tenant, role: Role, subject_ref: str | None = None) -> Person:
    """Give somebody a key of this role."""
    holder = subject_ref or await a_subject(tenant)
    made = await issue(tenant, role=role, holder=holder)
    assert made.status_code == 201, made.text
    return as_person(tenant, holder, made.json())


async def issue(tenant: Tenant, **body: object) -> Any:
    """Ask for a key of the tenant's first application."""
    return await tenant.api("POST", f"/v1/applications/{tenant.application_id}/keys", body)


def as_person(tenant: Tenant, holder: str, made: dict[str, Any]) -> Person:
    """Return the holder of a key that was issued."""
    key_id = made.get("key_id") or made["content"]["key_id"]
    seen = replace(tenant, api=Api(tenant.api.http, made["key"]))
    return Person(holder, key_id, seen)


def key_path(tenant: Tenant, key_id: UUID | str) -> str:
    """Return the address of a key of the tenant's first application."""
    return f"/v1/applications/{tenant.application_id}/keys/{key_id}"


async def two_owners(tenant: Tenant) -> tuple[Person, Person]:
    """Switch four eyes on, between two people."""
    anna, bert = [await a_person(tenant, Role.OWNER) for _ in range(2)]
    chosen = await anna.api("PUT", "/v1/settings", {"four_eyes": True})
    assert chosen.status_code == 200, chosen.text
    return anna, bert
