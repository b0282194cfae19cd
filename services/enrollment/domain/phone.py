"""Telephone numbers: one form (E.164), and only those that a person can be reached at."""

import re
from enum import Enum

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from contracts.vocabulary import Factor

_FORM = re.compile(r"\+?[0-9(][0-9 ()./-]{3,30}")
# Satellites and networks of no country: a message costs many times as much.
_DEAR = frozenset({800, 808, 870, 878, 881, 882, 883, 888, 979})
_CALLED = frozenset(
    {
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.VOIP,
    }
)
_WRITTEN_TO = _CALLED - {PhoneNumberType.FIXED_LINE}
_SHOWN_DIGITS = 2


class Unusable(Enum):
    """Why no code can be sent to a number."""

    NO_NUMBER = "no number"
    NO_REGION = "no region"
    NOT_FOR_THIS = "not for this"


def normal_number(text: str, region: str | None, factor: Factor) -> str | Unusable:
    """Return the number in E.164, or why it is none for text messages, or for calls.

    Without a country code it is one of `region` (ISO 3166-1). Premium-rate numbers, those of shared
    cost, personal numbers, satellites, pagers and the like are refused.
    """
    if not _FORM.fullmatch(text):
        return Unusable.NO_NUMBER
    if not text.startswith("+") and region is None:
        return Unusable.NO_REGION
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        return Unusable.NO_NUMBER
    if not phonenumbers.is_valid_number(number) or number.extension:
        return Unusable.NO_NUMBER
    kinds = _WRITTEN_TO if factor is Factor.SMS else _CALLED
    if number.country_code in _DEAR or phonenumbers.number_type(number) not in kinds:
        return Unusable.NOT_FOR_THIS
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def masked(number: str) -> str:
    """Return what may be shown of a number: its country and its last two digits."""
    country = phonenumbers.parse(number).country_code
    hidden = len(number) - 1 - len(str(country)) - _SHOWN_DIGITS
    return f"+{country} {'•' * hidden}{number[-_SHOWN_DIGITS:]}"
