from base64 import b32decode
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st

from services.enrollment.domain.otpauth import key_shown
from services.enrollment.domain.totp import STANDARD

SECRET = bytes(range(20))
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=320
)


def test_is_the_uri_that_authenticator_apps_read() -> None:
    made = key_shown(SECRET, STANDARD, issuer="Acme HR", label="kim@example.org")

    assert made.uri == (
        "otpauth://totp/Acme%20HR:kim%40example.org"
        "?secret=AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT&issuer=Acme%20HR"
        "&algorithm=SHA1&digits=6&period=30"
    )
    assert made.key == "AAAQ EAYE AUDA OCAJ BIFQ YDIO B4IB CEQT"
    assert "AAAQ" not in repr(made)


@pytest.mark.parametrize(
    ("issuer", "label"),
    [
        ("Acme: HR", "kim"),
        (":", "a:b:c"),
        ("A&B=C?#/%", "kim+test@example.org/?&secret=AAAA#%3A"),
        ("Müller 電", "żółć 🙂"),
    ],
)
def test_no_name_breaks_out_of_its_place(issuer: str, label: str) -> None:
    made = key_shown(SECRET, STANDARD, issuer=issuer, label=label)

    phone = pyotp.parse_uri(made.uri)
    assert isinstance(phone, pyotp.TOTP)
    assert phone.name == label
    assert phone.issuer == issuer.replace(":", "\N{MODIFIER LETTER COLON}")
    assert b32decode(phone.secret) == SECRET
    assert set(parse_qs(urlsplit(made.uri).query)) == {
        "secret",
        "issuer",
        "algorithm",
        "digits",
        "period",
    }


@given(TEXT, TEXT)
def test_every_name_gives_a_picture_that_a_phone_can_read(issuer: str, label: str) -> None:
    made = key_shown(SECRET, STANDARD, issuer=issuer, label=label)

    code = segno.make_qr(made.uri)
    assert isinstance(code.version, int)
    assert code.version <= 20
    assert made.uri.isascii()


@pytest.mark.requirement("C5")
def test_long_labels_that_differ_at_the_end_stay_distinct() -> None:
    labels = ["a" * 319 + end for end in "bc"] + ["é" * 160 + end for end in "bc"]

    uris = {key_shown(SECRET, STANDARD, issuer="Acme", label=label).uri for label in labels}

    assert len(uris) == 4


@pytest.mark.parametrize(("length", "kept"), [(360, True), (361, False)])
def test_shortens_only_what_does_not_fit(length: int, *, kept: bool) -> None:
    label = "a" * length

    path = unquote(urlsplit(key_shown(SECRET, STANDARD, issuer="Acme", label=label).uri).path)

    assert (path == f"/Acme:{label}") is kept
    assert len(path) <= len("/Acme:") + 360
