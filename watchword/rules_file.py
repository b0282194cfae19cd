"""A tenant's rules as a YAML file: policy as code."""

import re
from typing import Any

import yaml

_HEAD = """\
# Whom to ask for what, from when on: the first rule that matches decides.
# requirement: off | optional | required | deny; starts, enforced, ends: on the clocks of time_zone.
# All that a rule can say: docs/rules.md
"""
# Of these an empty list says "nothing and nobody", and leaving it out would say "all of them".
_NOBODY_IS_SAID = ("recovery", "may_disable")


class UnreadableRulesError(ValueError):
    """A file that cannot be read as rules."""


class _Loader(yaml.SafeLoader):
    """Reads texts as texts: in YAML 1.1 `off` is a truth value and a date is no text."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        names = [self.construct_object(name, deep=True) for name, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise UnreadableRulesError(
                    f"line {node.start_mark.line + 1}: {name} is there twice"
                )
        found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return found


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag in ("tag:yaml.org,2002:null", "tag:yaml.org,2002:int", "tag:yaml.org,2002:merge")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# Of the words for truth values these two only; whoever means a text writes it in quotes.
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), ["t", "f"])


def read_rules(text: str) -> dict[str, Any]:
    """Return what a file says, as the API takes it; raises UnreadableRulesError with the place."""
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 - a safe loader that reads less
    except yaml.YAMLError as error:
        raise UnreadableRulesError(str(error)) from None
    if not isinstance(content, dict):
        raise UnreadableRulesError("a file of rules has `time_zone` and `rules`")
    return content


def written_rules(content: dict[str, Any]) -> str:
    """Return the file that says this; what stands for everything or nothing is left out."""
    rules = [_plain(rule) for rule in content["rules"]]
    body = {"time_zone": content["time_zone"], "rules": rules}
    return _HEAD + yaml.safe_dump(body, sort_keys=False, allow_unicode=True)


def _plain(rule: dict[str, Any]) -> dict[str, Any]:
    match = {name: values for name, values in rule["match"].items() if values}
    said = {**rule, "match": match}
    if said["strength"] == "any":
        del said["strength"]
    return {
        name: value
        for name, value in said.items()
        # 0 is no False here: it is said.
        if value is not False
        and value not in (None, {})
        and (value != [] or name in _NOBODY_IS_SAID)
    }
