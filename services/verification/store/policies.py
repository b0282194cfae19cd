"""The copy of what each application asks."""

from uuid import UUID

from contracts.envelope import application_key
from contracts.policy import PolicyState
from contracts.topics import POLICIES
from contracts.vocabulary import Requirement
from libs.messaging.copies import copy_of
from libs.postgres.pool import Connection
from services.verification.domain.decision import Policy


async def policy_of(tx: Connection, tenant: UUID, application_id: UUID) -> Policy | None:
    """Return an application's policy, or None where it has not arrived."""
    state = await copy_of(tx, POLICIES.name, application_key(tenant, application_id))
    if state is None:
        return None
    known = PolicyState.model_validate(state)
    return Policy(
        version=known.version,
        required=known.requirement is Requirement.REQUIRED,
        factors=tuple(known.factors),
        rules=known.rules,
        rules_version=known.rules_version,
        rules_digest=known.rules_digest,
    )
