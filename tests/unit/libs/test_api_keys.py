from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.web.api_keys import digest_of, new_api_key, read_api_key


@given(number=st.integers(min_value=0, max_value=2**128 - 1))
def test_a_key_names_its_application(number: int) -> None:
    key = new_api_key(mode="live", application_id=UUID(int=number))

    parts = read_api_key(key.text)

    assert parts is not None
    assert (parts.mode, parts.application_id) == ("live", UUID(int=number))
    assert parts.digest == key.digest == digest_of(key.text)


def test_every_key_is_another() -> None:
    application = uuid4()

    keys = {new_api_key(mode="test", application_id=application).text for _ in range(1000)}

    assert len(keys) == 1000


def test_a_key_with_one_letter_changed_is_none() -> None:
    text = new_api_key(mode="test", application_id=uuid4()).text
    body = text.index("_", 3) + 1

    for at in range(body, len(text)):
        changed = text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1 :]
        assert read_api_key(changed) is None


@pytest.mark.security("S4")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "ww",
        "ww_",
        "ww_test_",
        "ww_test_" + "\u0660" * 71,
        "xx_test_" + "0" * 71,
        "ww_t1_" + "0" * 71,
    ],
)
def test_what_cannot_be_a_key_is_none(text: str) -> None:
    assert read_api_key(text) is None


def test_a_key_never_shows_itself() -> None:
    key = new_api_key(mode="test", application_id=uuid4())

    assert key.text not in repr(key)
