"""What is written with every request without a model is what the model would have written."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest

from contracts.envelope import data_of
from contracts.verification import (
    VERIFICATION_FAILED,
    VERIFIED,
    FailureReason,
    VerificationFailed,
    Verified,
)
from contracts.vocabulary import Factor
from libs.messaging.cloud_event import CloudEvent, body_without_sequence, parse
from services.verification.announcements import verification_failed, verified
from services.verification.domain.outcome import ACR, AMR

TENANT, SUBJECT, APPLICATION, AUTHENTICATOR = (uuid4() for _ in range(4))
NOW = datetime(2026, 11, 24, 12, 0, 0, 250, tzinfo=UTC)


def as_read(event: CloudEvent) -> CloudEvent:
    body = body_without_sequence(event)
    return parse(f'{{"sequence":"1",{body[1:]}'.encode())


def written(event: CloudEvent) -> object:
    return msgspec.json.decode(body_without_sequence(event))["data"]


@pytest.mark.parametrize("factor", sorted(AMR))
def test_an_acceptance_is_written_as_its_model_says(factor: str) -> None:
    event = verified(
        tenant=TENANT,
        subject_ref=SUBJECT,
        application_id=APPLICATION,
        authenticator_id=AUTHENTICATOR,
        factor=factor,
        now=NOW,
        traceparent=None,
    )

    expected = Verified(
        application_id=APPLICATION,
        authenticator_id=AUTHENTICATOR,
        factor=Factor(factor),
        acr=ACR,
        amr=AMR[factor],
    )
    assert data_of(VERIFIED, as_read(event)) == expected
    assert written(event) == expected.model_dump(mode="json")


@pytest.mark.parametrize("authenticator", [AUTHENTICATOR, None])
def test_a_failure_is_written_as_its_model_says(authenticator: UUID | None) -> None:
    event = verification_failed(
        tenant=TENANT,
        subject_ref=SUBJECT,
        application_id=APPLICATION,
        authenticator_id=authenticator,
        reason=FailureReason.WRONG_CODE,
        now=NOW,
        traceparent=None,
    )

    expected = VerificationFailed(
        application_id=APPLICATION,
        authenticator_id=authenticator,
        reason=FailureReason.WRONG_CODE,
    )
    assert data_of(VERIFICATION_FAILED, as_read(event)) == expected
    assert written(event) == expected.model_dump(mode="json")
