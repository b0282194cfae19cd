from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from contracts.roles import Role
from services.policy.domain.acts import EndFourEyes
from services.policy.domain.application import Key
from services.policy.domain.proposals import (
    Look,
    Proposal,
    Status,
    approval_refusal,
    waiting_refusal,
)
from services.policy.domain.refusals import Refusal
from tests.unit.policy.builders import NOW, a_persons_key

_ANNA, _BERT = UUID(int=11), UUID(int=12)
_ANNAS, _BERTS = a_persons_key(Role.OWNER, _ANNA), a_persons_key(Role.OWNER, _BERT)
_PROPOSAL = Proposal(
    UUID(int=1),
    EndFourEyes(),
    Look(("each owner acts alone",), 2),
    proposed_by=_ANNAS.key_id,
    holder=_ANNA,
    proposed=NOW,
)


@pytest.mark.requirement("C1")
@pytest.mark.parametrize(
    ("approver", "refusal"),
    [
        (_BERTS, None),
        (_ANNAS, Refusal.SECOND_PERSON_NEEDED),
        (a_persons_key(Role.OWNER, _ANNA), Refusal.SECOND_PERSON_NEEDED),
        (a_persons_key(Role.OWNER, None), Refusal.SECOND_PERSON_NEEDED),
        (replace(_BERTS, revoked=True), Refusal.SECOND_PERSON_NEEDED),
    ],
)
def test_another_person_approves(approver: Key, refusal: Refusal | None) -> None:
    assert approval_refusal(_PROPOSAL, approver=approver, proposer=_ANNAS) is refusal


def test_what_a_key_proposed_that_was_revoked_since_is_stale() -> None:
    gone = replace(_ANNAS, revoked=True)

    assert approval_refusal(_PROPOSAL, approver=_BERTS, proposer=gone) is Refusal.PROPOSAL_STALE


@pytest.mark.parametrize(
    ("after", "decided", "refusal", "status"),
    [
        (timedelta(0), None, None, Status.WAITING),
        (timedelta(days=7, microseconds=-1), None, None, Status.WAITING),
        (timedelta(days=7), None, Refusal.PROPOSAL_EXPIRED, Status.EXPIRED),
        (timedelta(0), Status.APPROVED, Refusal.PROPOSAL_DECIDED, Status.APPROVED),
        (timedelta(days=8), Status.APPROVED, Refusal.PROPOSAL_DECIDED, Status.APPROVED),
        (timedelta(days=8), Status.REFUSED, Refusal.PROPOSAL_DECIDED, Status.REFUSED),
    ],
)
def test_waits_for_seven_days(
    after: timedelta, decided: Status | None, refusal: Refusal | None, status: Status
) -> None:
    proposal = replace(_PROPOSAL, decided=decided)

    assert proposal.status(NOW + after) is status
    assert waiting_refusal(proposal, NOW + after) is refusal
