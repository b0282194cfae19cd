import unicodedata

import pytest

from services.policy.domain.text import has_one_form


@pytest.mark.parametrize(
    "text",
    ["a", "anna@example.org", "Anna de Vries", "7", "\u00e9lodie", "\u5f20\u4f1f", "A" * 9],
)
def test_takes_a_text_in_its_one_form(text: str) -> None:
    assert has_one_form(text)


@pytest.mark.security("S4")
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        " anna",
        "anna ",
        "anna\u00a0",
        "an\u00a0na",
        "an\u2003na",
        "an\u200bna",
        "an\u200dna",
        "\ufeffanna",
        "an\u00adna",
        "an\u202ena",
        "anna\n",
        "an\tna",
        "an\x00na",
        "an\x7fna",
        "an\u2028na",
        "an\ud800na",
        "an\ue000na",
        "an\uffffna",
        unicodedata.normalize("NFD", "\u00e9lodie"),
        "\u212bngstrom",
    ],
)
def test_refuses_a_text_that_looks_like_another(text: str) -> None:
    assert not has_one_form(text)
