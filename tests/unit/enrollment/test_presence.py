from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from services.enrollment.domain.presence import presence_of

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
APPLICATION, OTHER = uuid4(), uuid4()


def claims(**changed: object) -> dict[str, object]:
    issued = int(NOW.timestamp())
    return {
        "aud": str(APPLICATION),
        "iat": issued,
        "exp": issued + 300,
        "jti": str(uuid4()),
        "authenticator": str(uuid4()),
        "remembered": False,
    } | changed


def test_a_receipt_of_now_shows_a_factor() -> None:
    said = claims()

    shown = presence_of(said, APPLICATION, now=NOW)

    assert shown is not None
    assert str(shown.authenticator_id) == said["authenticator"]
    assert str(shown.presence_id) == said["jti"]


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": str(OTHER)},
        {"aud": None},
        {"aud": [str(APPLICATION)]},
        {"remembered": True},
        {"jti": "x"},
        {"authenticator": None},
        {"exp": "soon"},
        {"exp": int(NOW.timestamp())},
        {"iat": int(NOW.timestamp()) + 31},
        {"iat": int(NOW.timestamp()) - 600, "exp": int(NOW.timestamp()) + 300},
        {"exp": 10**30},
    ],
)
def test_anything_else_shows_nothing(changed: dict[str, object]) -> None:
    assert presence_of(claims(**changed), APPLICATION, now=NOW) is None


@pytest.mark.parametrize("missing", ["aud", "iat", "exp", "jti", "authenticator"])
def test_all_of_it_is_needed(missing: str) -> None:
    said = claims()
    del said[missing]

    assert presence_of(said, APPLICATION, now=NOW) is None


@pytest.mark.parametrize(
    ("seconds", "good"), [(299, True), (300, False), (-30, True), (-31, False)]
)
def test_it_is_good_until_it_expires(seconds: int, good: bool) -> None:
    shown = presence_of(claims(), APPLICATION, now=NOW + timedelta(seconds=seconds))

    assert (shown is not None) is good
