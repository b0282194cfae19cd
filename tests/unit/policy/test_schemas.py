from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from contracts.subjects import SubjectName
from services.policy.api.schemas import SubjectSearch
from services.policy.domain.subject_text import SubjectBody


@pytest.mark.security("S4")
@given(subject=st.text(max_size=8))
@example("a b")
@example("\uff41")
@example("\ufb01x")
@example("anna@example.org")
def test_takes_a_subject_only_where_the_other_services_do(subject: str) -> None:
    elsewhere = _taken(TypeAdapter(SubjectName).validate_python, subject)

    assert _taken(lambda name: SubjectBody(subject=name), subject) == elsewhere
    assert _taken(lambda name: SubjectSearch(subject=name), subject) == elsewhere


def _taken(parse: Callable[[str], object], subject: str) -> bool:
    try:
        parse(subject)
    except ValidationError:
        return False
    return True
