from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.rules import RecoveryMeans, Strength
from contracts.vocabulary import Factor
from services.policy.domain.rules import Asks, RulesText, digest_of
from watchword.rules_file import UnreadableRulesError, read_rules, written_rules

_FILE = """
time_zone: Europe/Amsterdam
rules:
  - name: students   # from the second term on
    match: {user_types: [student], groups: ["2026", yes]}
    starts: 2027-02-01T08:00:00
    requirement: required
    factors: [totp]
  - name: others
    requirement: off
"""


def test_words_are_read_as_words() -> None:
    students, others = read_rules(_FILE)["rules"]

    assert others["requirement"] == "off"
    assert students["starts"] == "2027-02-01T08:00:00"
    assert students["match"]["groups"] == ["2026", "yes"]
    assert RulesText.model_validate(read_rules(_FILE)).rules[1].requirement is Asks.OFF


def test_a_truth_value_is_written_true_or_false_and_is_left_out_where_it_is_false() -> None:
    said = RulesText.model_validate(read_rules(_FILE + "    email_code: false"))
    code = _FILE.replace("off", "optional\n    factors: [totp]\n    email_code: true")

    assert "email_code" not in written_rules(said.model_dump(mode="json"))
    assert read_rules(code)["rules"][1]["email_code"] is True
    assert read_rules("rules: [yes, on, True, TRUE]")["rules"] == ["yes", "on", "True", "TRUE"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rules: []\nrules: []", "rules is there twice"),
        ("rules:\n - {name: a, name: b}", "line 2: name is there twice"),
        ("rules: [", "line 1"),
        ("- a\n- b", "has `time_zone` and `rules`"),
        ("", "has `time_zone` and `rules`"),
        ("rules: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
    ],
)
def test_says_what_cannot_be_read(text: str, words: str) -> None:
    with pytest.raises(UnreadableRulesError, match=words):
        read_rules(text)


_names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True)
_words = st.sampled_from(
    ["off", "yes", "true", "null", "2026", "Zürich", "a: b", "- x", "# no", "日本"]
)
_rules = st.fixed_dictionaries(
    {
        "name": _names,
        "match": st.fixed_dictionaries(
            {}, optional={"groups": st.lists(_words, min_size=1, max_size=3)}
        ),
        "requirement": st.sampled_from(Asks).map(lambda one: one.value),
        "starts": st.sampled_from([None, "2027-02-01T08:00:00", "2027-02-01T08:00:00.5"]),
        "factors": st.sampled_from([[], [Factor.TOTP.value]]),
        "strength": st.sampled_from(Strength).map(lambda one: one.value),
        "skips": st.sampled_from([0, 3]),
        "recovery": st.sampled_from([None, [], [RecoveryMeans.SERVICE_DESK.value]]),
        "email_code": st.booleans(),
        "may_disable": st.sampled_from([[], ["administrator"], ["person", "administrator"]]),
    }
)


@given(st.lists(_rules, max_size=4))
def test_what_is_written_says_the_same_when_it_is_read(rules: list[dict[str, Any]]) -> None:
    text = RulesText.model_validate({"time_zone": "Europe/Amsterdam", "rules": rules})

    read = read_rules(written_rules(text.model_dump(mode="json")))

    assert digest_of(RulesText.model_validate(read)) == digest_of(text)
