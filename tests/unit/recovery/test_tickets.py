from datetime import UTC, datetime
from uuid import uuid4

import pytest
from joserfc import jws

from services.recovery.gateways import Tickets
from tests.fixtures.services import IDENTITY_KEYS


@pytest.mark.security("S12")
def test_a_ticket_of_deeply_nested_json_is_refused() -> None:
    key = IDENTITY_KEYS["enrollment"]
    header, claims = {"alg": "Ed25519"}, b"[" * 100_000
    text = jws.serialize_compact(header, claims, key, algorithms=["Ed25519"])

    assert Tickets(key).read(text, tenant=uuid4(), now=datetime.now(UTC)) is None
