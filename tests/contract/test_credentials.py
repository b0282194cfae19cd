"""What enrollment may hand over to verification."""

from base64 import b64encode

import pytest
from pydantic import ValidationError

from contracts.internal import Credential
from contracts.vocabulary import Algorithm, Factor


def counter_at(last_step: int) -> Credential:
    return Credential(
        factor=Factor.HOTP,
        epoch=1,
        secret=b64encode(b"s" * 20).decode(),
        algorithm=Algorithm.SHA1,
        digits=8,
        last_step=last_step,
    )


@pytest.mark.parametrize("last_step", [-1, 0, 2**53 - 1])
def test_a_counter_may_be_as_large_as_every_part_can_count(last_step: int) -> None:
    assert counter_at(last_step).last_step == last_step


@pytest.mark.parametrize("last_step", [-2, 2**53, 2**63])
def test_a_counter_that_would_break_a_whole_batch_is_no_credential(last_step: int) -> None:
    with pytest.raises(ValidationError):
        counter_at(last_step)
