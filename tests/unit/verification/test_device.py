import re
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from contracts.decisions import Decision, Reason
from contracts.vocabulary import DecisionKind
from services.verification.domain.decision import remembered
from services.verification.domain.device import Believed, Token, is_genuine, judge, read, written
from services.verification.settings import Settings

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY, OTHER_KEY = b"k" * 32, b"o" * 32
TOKEN = Token(uuid4(), key_version=3, generation=7)


@pytest.mark.security("S1")
@pytest.mark.parametrize(
    ("generation", "since_rotation", "believed"),
    [
        (7, timedelta(0), Believed.CURRENT),
        (7, timedelta(days=6), Believed.CURRENT),
        (6, timedelta(0), Believed.JUST_SPENT),
        (6, timedelta(seconds=10), Believed.JUST_SPENT),
        (6, timedelta(seconds=10, microseconds=1), Believed.STOLEN),
        (5, timedelta(0), Believed.STOLEN),
        (1, timedelta(0), Believed.STOLEN),
        (8, timedelta(0), Believed.NEVER_MADE),
    ],
)
def test_a_generation_is_good_once_and_for_a_moment_longer(
    generation: int, since_rotation: timedelta, believed: Believed
) -> None:
    assert judge(generation, 7, rotated_at=NOW - since_rotation, now=NOW) is believed


def test_reads_what_it_has_written() -> None:
    text = written(TOKEN, KEY)

    assert read(text) == TOKEN
    assert is_genuine(text, TOKEN, KEY)
    assert text == written(TOKEN, KEY)


def test_a_token_is_written_without_a_character_that_a_url_or_cookie_would_quote() -> None:
    assert re.fullmatch("wwd_[A-Za-z0-9_-]{75}", written(TOKEN, KEY))


@given(
    device_id=st.uuids(),
    key_version=st.integers(0, 2**32 - 1),
    generation=st.integers(0, 2**32 - 1),
    key=st.binary(min_size=32, max_size=32),
)
@example(device_id=UUID(int=0), key_version=2**31 - 1, generation=1, key=KEY)
@example(device_id=UUID(int=0), key_version=2**31, generation=1, key=KEY)
@example(device_id=UUID(int=0), key_version=1, generation=2**31 - 1, key=KEY)
@example(device_id=UUID(int=0), key_version=1, generation=2**31, key=KEY)
def test_reads_every_token_whose_numbers_postgresql_can_hold(
    device_id: UUID, key_version: int, generation: int, key: bytes
) -> None:
    token = Token(device_id, key_version, generation)

    said = read(written(token, key))

    assert said == (token if max(key_version, generation) < 2**31 else None)


@pytest.mark.security("S12")
def test_no_part_of_a_token_can_be_changed() -> None:
    text = written(TOKEN, KEY)

    for place in range(len("wwd_"), len(text) - 1):
        forged = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        said = read(forged)
        assert said is not None
        assert not is_genuine(forged, said, KEY)
    assert not is_genuine(text, TOKEN, OTHER_KEY)


@pytest.mark.security("S7")
@given(st.text())
def test_what_is_no_token_is_read_as_none(text: str) -> None:
    assert read(text) is None
    assert read(f"wwd_{text}") is None


def test_a_remembered_device_allows_and_leaves_the_factors() -> None:
    challenge = Decision(DecisionKind.CHALLENGE, Reason.REQUIRED, ("totp",))

    assert remembered(challenge) == Decision(DecisionKind.ALLOW, Reason.REMEMBERED, ("totp",))


@pytest.mark.standard("NIST 800-63B-4 2.1.3")
@pytest.mark.parametrize(
    ("length", "taken"),
    [
        (timedelta(seconds=-1), False),
        (timedelta(0), True),
        (timedelta(days=7), True),
        (timedelta(days=30), True),
        (timedelta(days=30, seconds=1), False),
    ],
)
def test_the_start_refuses_to_remember_longer_than_thirty_days(
    length: timedelta, taken: bool
) -> None:
    given_ = {
        **dict.fromkeys(("app_dsn", "worker_dsn", "owner_dsn"), SecretStr("x")),
        **dict.fromkeys(("settle_dsn", "redis_url"), SecretStr("x")),
        **dict.fromkeys(("key_file", "identity_key_file", "identity_public_keys_file"), "x"),
        **dict.fromkeys(("policy_url", "enrollment_url"), "http://x"),
        **dict.fromkeys(("port", "internal_port"), 1),
        "kafka_bootstrap": "x",
    }

    try:
        settings = Settings.model_validate({**given_, "remember_for": length})
    except ValidationError:
        assert not taken
    else:
        assert taken
        assert settings.remember_for == length
