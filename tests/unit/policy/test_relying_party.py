import pytest

from contracts.passkeys import PasskeyParty
from services.policy.domain.relying_party import checked_rp_id, mistake_of

_63 = "a" * 63
_LONGEST = f"{_63}.{_63}.{_63}.{'a' * 61}"
_NO_ORIGIN = "an origin is https://"
_NO_HOST = "the host of an origin is a domain name"
_ANOTHER = "or ends in a dot and rp_id"
_NO_PORT = "a port is at most 65535"


@pytest.mark.standard("WebAuthn Level 3")
@pytest.mark.parametrize(
    "text",
    [
        *("example.org", "login.example.org", "localhost", "xn--bcher-kva.example", "a-b.nl"),
        *("1.example", "example.x1", _LONGEST),
    ],
)
def test_a_domain_name_in_lower_case_can_be_a_relying_party(text: str) -> None:
    assert checked_rp_id(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "org", "Example.org", "bücher.example", "example.org.", ".example.org"),
        *("example..org", "-a.org", "a-.org", "a_b.org", "127.0.0.1", "example.1", "[::1]"),
        *("https://example.org", "example.org:443", "example.org/x", " example.org"),
        *("example.org\n", "*.example.org", "exa mple.org", "LOCALHOST", f"a{_63}.org"),
        *(f"{_LONGEST}a", "example.org\x00", "example。org"),
    ],
)
def test_nothing_else_can(text: str) -> None:
    with pytest.raises(ValueError, match="not a domain name"):
        checked_rp_id(text)


@pytest.mark.standard("WebAuthn Level 3")
@pytest.mark.parametrize(
    ("rp_id", "origin", "words"),
    [
        ("example.org", "https://example.org", None),
        ("example.org", "https://login.example.org", None),
        ("example.org", "https://a.b.example.org:8443", None),
        ("example.org", "https://example.org:1", None),
        ("example.org", "https://example.org:65535", None),
        ("example.org", "https://xn--bcher-kva.example.org", None),
        ("localhost", "http://localhost", None),
        ("localhost", "http://localhost:3000", None),
        ("localhost", "https://localhost:3000", None),
        ("localhost", "https://app.localhost", None),
        ("localhost", "http://app.localhost", "only localhost is an origin without https"),
        ("example.org", "http://example.org", "only localhost is an origin without https"),
        ("example.org", "http://localhost:3000", _ANOTHER),
        ("example.org", "https://example.com", _ANOTHER),
        ("example.org", "https://badexample.org", _ANOTHER),
        ("example.org", "https://example.org.evil.example", _ANOTHER),
        ("login.example.org", "https://example.org", _ANOTHER),
        ("example.org", "https://Example.org", _NO_HOST),
        ("example.org", "https://bücher.example.org", _NO_HOST),
        ("example.org", "https://example.org.", _NO_HOST),
        ("example.org", "https://-a.example.org", _NO_HOST),
        ("example.org", f"https://{'a.' * 122}example.org", _NO_HOST),
        ("example.org", "https://example.org:443", _NO_PORT),
        ("localhost", "http://localhost:80", _NO_PORT),
        ("localhost", "https://localhost:80", None),
        ("example.org", "https://example.org:65536", _NO_PORT),
        ("example.org", "https://example.org:0", _NO_ORIGIN),
        ("example.org", "https://example.org:08443", _NO_ORIGIN),
        ("example.org", "https://example.org:", _NO_ORIGIN),
        ("example.org", "https://example.org/", _NO_ORIGIN),
        ("example.org", "https://example.org/login", _NO_ORIGIN),
        ("example.org", "https://example.org?x", _NO_ORIGIN),
        ("example.org", "https://example.org#x", _NO_ORIGIN),
        ("example.org", "https://evil@example.org", _NO_ORIGIN),
        ("example.org", "https://example.org\n", _NO_ORIGIN),
        ("example.org", "HTTPS://example.org", _NO_ORIGIN),
        ("example.org", "example.org", _NO_ORIGIN),
        ("example.org", "//example.org", _NO_ORIGIN),
        ("example.org", "android:apk-key-hash:abc", _NO_ORIGIN),
        ("example.org", "null", _NO_ORIGIN),
        ("example.org", "", _NO_ORIGIN),
    ],
)
def test_an_origin_is_written_as_a_browser_does_and_is_of_the_party(
    rp_id: str, origin: str, words: str | None
) -> None:
    first = f"https://{rp_id}:444"

    found = mistake_of(PasskeyParty(rp_id=rp_id, origins=(first, origin)))

    assert (found is None) == (words is None), found
    assert (words or "") in (found or "")


def test_an_origin_is_there_once() -> None:
    party = PasskeyParty(rp_id="example.org", origins=("https://example.org",) * 2)

    assert mistake_of(party) == "each origin once"
