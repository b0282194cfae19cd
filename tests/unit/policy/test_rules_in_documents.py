"""What the documents show as rules can be brought into force."""

import re
from pathlib import Path

import pytest

from contracts.rules import Rule
from contracts.vocabulary import Factor
from services.policy.domain.policy import ENROLLABLE, SHOWN_AT_LOGIN
from services.policy.domain.rules import RulesText, RuleText, lockouts, mistakes
from watchword.rules_file import read_rules

_ROOT = Path(__file__).parents[3]
_YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("document", ["README.md", "docs/rules.md"])
def test_rules_that_are_shown_have_no_mistakes(document: str) -> None:
    shown = _YAML.findall((_ROOT / document).read_text())

    assert shown
    for yaml in shown:
        text = RulesText.model_validate(read_rules(yaml))
        assert (mistakes(text, frozenset()), lockouts(text)) == ((), ())


def test_every_field_of_a_rule_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)`", (_ROOT / "docs/rules.md").read_text()))

    assert explained >= RuleText.model_fields.keys()
    assert explained >= Rule.model_fields.keys() - {"denied"}


def test_what_can_be_enrolled_is_said_as_it_is() -> None:
    lines = (_ROOT / "docs/rules.md").read_text().splitlines()
    start = lines.index("| today | factors |") + 2
    both, enrolled_only, neither = [
        {Factor(word) for word in re.findall(r"`(\w+)`", line)} for line in lines[start : start + 3]
    ]

    assert both == ENROLLABLE & SHOWN_AT_LOGIN
    assert enrolled_only == ENROLLABLE - SHOWN_AT_LOGIN
    assert neither == set(Factor) - ENROLLABLE - {Factor.RECOVERY_KEY}
