"""The file of results: each measurement has keys of its own, and replaces only those."""

import json
from collections.abc import Mapping
from pathlib import Path

_BESIDE = ("spread", "conditions")


class Results:
    """What is in the file, and what is added to it."""

    def __init__(self, path: Path, *, anew: bool = False) -> None:
        stored = json.loads(path.read_text()) if path.exists() and not anew else {}
        self._path = path
        self._beside: dict[str, dict[str, object]] = {
            name: stored.pop(name, {}) for name in _BESIDE
        }
        self._figures: dict[str, object] = stored

    def add(
        self,
        figures: Mapping[str, object],
        *,
        spread: Mapping[str, object],
        conditions: Mapping[str, object],
    ) -> None:
        """Take in medians by name, with the ends of each and the conditions; store everything."""
        self._figures |= figures
        self._beside["spread"] |= spread
        self._beside["conditions"] |= conditions
        self._store()

    def forget(self, name: str) -> None:
        """Leave out what could not be measured: the file holds nothing of an earlier program."""
        self._figures.pop(name, None)
        for beside in self._beside.values():
            beside.pop(name, None)
        self._store()

    def _store(self) -> None:
        self._path.parent.mkdir(exist_ok=True)
        content = {**self._figures, **self._beside}
        self._path.write_text(json.dumps(content, indent=2) + "\n")
