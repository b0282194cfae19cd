"""When a reset is complete."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class ResetStatus(StrEnum):
    """Where a reset stands."""

    REQUESTED = "requested"
    COMPLETED = "completed"


@dataclass(frozen=True)
class Progress:
    """What enrollment removed (None: it has not said yet) and what of it is forgotten."""

    removed: Collection[UUID] | None
    forgotten: Collection[UUID]


def is_complete(progress: Progress) -> bool:
    """Tell whether verification has forgotten all that enrollment removed."""
    return progress.removed is not None and set(progress.removed) <= set(progress.forgotten)
