import pytest

from contracts.vocabulary import Factor
from services.enrollment.domain.phone import Unusable, masked, normal_number


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("+31612345678", None, "+31612345678"),
        ("+31 6 12 34 56 78", None, "+31612345678"),
        ("06 12345678", "NL", "+31612345678"),
        ("06-12345678", "NL", "+31612345678"),
        ("(0)6 12345678", "NL", "+31612345678"),
        ("0171 1234567", "DE", "+491711234567"),
        ("+1 (201) 555-0123", None, "+12015550123"),
        ("0031612345678", "NL", "+31612345678"),
        # A country code counts for more than the region.
        ("+491711234567", "NL", "+491711234567"),
    ],
)
def test_a_number_has_one_form(text: str, region: str | None, expected: str) -> None:
    assert normal_number(text, region, Factor.SMS) == expected


@pytest.mark.parametrize(
    ("text", "region", "why"),
    [
        ("0612345678", None, Unusable.NO_REGION),
        ("+31612345", None, Unusable.NO_NUMBER),
        ("+316123456789012", None, Unusable.NO_NUMBER),
        ("+999612345678", None, Unusable.NO_NUMBER),
        ("0612345678", "XX", Unusable.NO_NUMBER),
        ("+31612345678 ext 5", None, Unusable.NO_NUMBER),
        ("+31612345678;ext=5", None, Unusable.NO_NUMBER),
        ("tel:+31612345678", None, Unusable.NO_NUMBER),
        ("+31 6 1234\u0665678", None, Unusable.NO_NUMBER),
        ("+3161234567\n8", None, Unusable.NO_NUMBER),
        ("+", None, Unusable.NO_NUMBER),
        ("1-800-FLOWERS", "US", Unusable.NO_NUMBER),
    ],
)
def test_what_is_no_number_is_refused(text: str, region: str | None, why: Unusable) -> None:
    assert normal_number(text, region, Factor.SMS) is why


@pytest.mark.parametrize(
    ("text", "factor", "usable"),
    [
        # Premium rate, toll-free, shared cost, in three countries.
        ("+31900123456", Factor.SMS, False),
        ("+31900123456", Factor.VOICE, False),
        ("+498001234567", Factor.VOICE, False),
        ("+448431234567", Factor.VOICE, False),
        ("+19002345678", Factor.VOICE, False),
        # Fixed lines ring, and get no text.
        ("+31201234567", Factor.SMS, False),
        ("+31201234567", Factor.VOICE, True),
        # Satellites, and personal numbers that lead anywhere.
        ("+881612345678", Factor.SMS, False),
        ("+870773111632", Factor.VOICE, False),
        ("+447010020000", Factor.SMS, False),
        # Nobody can tell a mobile from a fixed line in North America.
        ("+12015550123", Factor.SMS, True),
    ],
)
def test_what_costs_more_or_gets_no_text_is_refused(
    text: str, factor: Factor, usable: bool
) -> None:
    number = normal_number(text, None, factor)

    assert number == (text if usable else Unusable.NOT_FOR_THIS)


@pytest.mark.parametrize(
    ("number", "shown"),
    [("+31612345678", "+31 •••••••78"), ("+12015550123", "+1 ••••••••23")],
)
def test_country_and_two_digits_are_shown(number: str, shown: str) -> None:
    assert masked(number) == shown
