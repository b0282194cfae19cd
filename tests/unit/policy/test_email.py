import pytest

from services.policy.domain.email import checked_address, same_address


@pytest.mark.requirement("C5")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("anna@example.org", "anna@example.org"),
        ("anna@example.org", "Anna@Example.ORG"),
        ("anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("anna@bücher.example", "ANNA@BÜCHER.EXAMPLE"),
        ("renée@example.org", "rene\u0301e@example.org"),
        ("RENÉE@example.org", "rene\u0301e@example.org"),
        ("straße@example.org", "STRASSE@example.org"),
    ],
)
def test_these_count_as_one_address(one: str, other: str) -> None:
    assert same_address(checked_address(one)) == same_address(checked_address(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("anna@example.org", "ann@example.org"),
        ("anna@example.org", "anna@example.com"),
        ("anna@example.org", "a.nna@example.org"),
        ("anna@example.org", "anna+mfa@example.org"),
        ("anna@bücher.example", "anna@bucher.example"),
        ("anna@example.org", "anna@mail.example.org"),
    ],
)
def test_these_count_as_two_addresses(one: str, other: str) -> None:
    assert same_address(checked_address(one)) != same_address(checked_address(other))


def test_the_form_for_finding_is_stable() -> None:
    form = same_address(checked_address("STRASSE@Example.org"))

    assert same_address(form) == form == "strasse@example.org"


@pytest.mark.parametrize("text", ["", "anna", "@example.org", "anna@", "a b@example.org"])
def test_what_is_no_address_is_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not an e-mail address$"):
        checked_address(text)
