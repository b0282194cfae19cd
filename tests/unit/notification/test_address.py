import pytest

from services.notification.domain.address import usable_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@example.org", "a@example.org"),
        ("A.B+c@Example.ORG", "A.B+c@example.org"),
        ("jan@exämple.org", "jan@xn--exmple-cua.org"),
        ("jürgen@example.org", "jürgen@example.org"),
        ("", None),
        ("a", None),
        ("a@", None),
        ("@example.org", None),
        ("a@example.org\n", None),
        (" a@example.org", None),
        ("a@example.org\r\nRCPT TO:<b@example.org>", None),
        ("a@example.org> SIZE=1", None),
        ("a@example.org,b@example.org", None),
        ("a@b@example.org", None),
        ('"a\\"b"@example.org', None),
        ("A <a@example.org>", None),
        ("a\x00@example.org", None),
        (f"{'a' * 250}@example.org", None),
    ],
)
def test_one_plain_address_or_nothing(text: str, expected: str | None) -> None:
    assert usable_address(text) == expected
