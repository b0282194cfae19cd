from datetime import UTC, datetime

import pytest

from contracts.vocabulary import Language
from services.notification.domain.wording import moment_in


@pytest.mark.parametrize(
    ("language", "month", "expected"),
    [
        (Language.ENGLISH, 1, "9 January 2026 at 07:05 UTC"),
        (Language.ENGLISH, 12, "9 December 2026 at 07:05 UTC"),
        (Language.DUTCH, 1, "9 januari 2026 om 07:05 uur UTC"),
        (Language.DUTCH, 12, "9 december 2026 om 07:05 uur UTC"),
    ],
)
def test_a_moment_reads_naturally(language: Language, month: int, expected: str) -> None:
    assert moment_in(language, datetime(2026, month, 9, 7, 5, tzinfo=UTC)) == expected
