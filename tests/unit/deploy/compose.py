"""docker-compose.yml as an engine would read it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docker-compose.yml"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(:-(?P<default>[^}]*))?\}")

Container = Mapping[str, Any]


def containers() -> dict[str, Container]:
    """Return the containers by name."""
    found: dict[str, Container] = YAML(typ="safe").load(FILE)["services"]
    return found


def containers_of(service: str) -> dict[str, Container]:
    """Return the containers of one of our services by role."""
    prefix = f"{service}-"
    return {
        name.removeprefix(prefix): container
        for name, container in containers().items()
        if name.startswith(prefix)
    }


def variables() -> set[str]:
    """Return the names that may be set in .env."""
    passed_on = {
        name
        for container in containers().values()
        for name, value in container.get("environment", {}).items()
        if value is None
    }
    return passed_on | {match["name"] for match in _VARIABLE.finditer(FILE.read_text())}


def environment_of(container: Container, given: Mapping[str, str]) -> dict[str, str]:
    """Return what a container gets, with `given` as what stands in .env."""
    values = {
        name: given.get(name) if value is None else _filled(value, given)
        for name, value in container.get("environment", {}).items()
    }
    return {name: value for name, value in values.items() if value is not None}


def unescaped(text: str) -> str:
    """Return a text of the file as the container sees it."""
    return text.replace("$$", "$")


def _filled(value: str, given: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: given.get(match["name"]) or match["default"] or "", value)
