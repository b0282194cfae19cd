"""What is different between two versions of a tenant's rules, in words."""

import json
import re
from collections.abc import Iterator

from services.policy.domain.rules import RulesText, RuleText

# Every other word stands in marks, so that nobody takes one for two, or for "none".
_PLAIN = re.compile(r"(?!none$)[\w.:@/+-]+")
_FIELDS = tuple(name for name in RuleText.model_fields if name != "name")


def changes(before: RulesText, after: RulesText) -> tuple[str, ...]:
    """Return what would change, line by line; nothing where the rules are the same."""
    return tuple(_changes(before, after))


def _changes(before: RulesText, after: RulesText) -> Iterator[str]:
    if before.time_zone != after.time_zone:
        yield f"time_zone: {before.time_zone} -> {after.time_zone}"
    old = {rule.name: rule for rule in before.rules}
    new = {rule.name: rule for rule in after.rules}
    yield from (f"- {name}: removed" for name in old if name not in new)
    for place, (name, rule) in enumerate(new.items(), start=1):
        if name in old:
            yield from _changed(name, old[name], rule)
        else:
            yield f"+ {name}: added at place {place}, {_words(rule)}"
    kept_before = [name for name in old if name in new]
    kept_after = [name for name in new if name in old]
    if kept_before != kept_after:
        yield f"order: {', '.join(kept_before)} -> {', '.join(kept_after)}"


def _changed(name: str, old: RuleText, new: RuleText) -> Iterator[str]:
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    for field in _FIELDS:
        if before[field] != after[field]:
            yield f"~ {name}: {field} {_said(before[field])} -> {_said(after[field])}"


def _words(rule: RuleText) -> str:
    said = rule.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    return ", ".join(f"{field} {_said(value)}" for field, value in said.items())


def _said(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case dict():
            named = [f"{field} {_said(words)}" for field, words in value.items() if words]
            return f"({'; '.join(named)})" if named else "everybody"
        case list():
            return " ".join(_marked(str(one)) for one in value) or "none"
        case _:
            return str(value)


def _marked(word: str) -> str:
    return word if _PLAIN.fullmatch(word) else json.dumps(word, ensure_ascii=False)
