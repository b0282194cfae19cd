"""What the imports of subjects and of authenticators have in common, once everything was sent."""

import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from watchword.front_door import FrontDoor

_LOOK_EVERY = 0.3
_ENDED = ("finished", "cancelled")


def worked(
    door: FrontDoor, path: str, found: dict[str, Any], *, console: Console
) -> dict[str, Any]:
    """Wait for the end of an import, showing how far it is; returns it as it then is."""
    with progress_on(console) as progress:
        task = progress.add_task("working", total=1.0)
        while found["state"] not in _ENDED:
            time.sleep(_LOOK_EVERY)
            found = door.ask("GET", f"{path}/{found['import_id']}")
            progress.update(task, completed=found["progress"])
        progress.update(task, completed=found["progress"])
    return found


def refused_rows(door: FrontDoor, path: str, import_id: str) -> Iterator[dict[str, Any]]:
    """Yield the rows that were refused, in their order."""
    after: int | None = 0
    while after is not None:
        page = door.ask("GET", f"{path}/{import_id}/rows?outcome=refused&limit=1000&after={after}")
        yield from page["rows"]
        after = page["next_after"]


def progress_on(console: Console) -> Progress:
    """Return a progress bar; where nobody looks, the summary is enough."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    return Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    )
