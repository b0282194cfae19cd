"""A lease on the work that one process at a time does, with an epoch that fences its old holder."""

import time
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from libs.postgres.pool import Connection

_TAKE = """
INSERT INTO relay_lease AS lease (name, holder, epoch, expires)
VALUES ($1, $2, 1, clock_timestamp() + $3)
ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder, epoch = lease.epoch + 1, expires = clock_timestamp() + $3
WHERE lease.expires < clock_timestamp()
RETURNING epoch
"""
_RENEW = """
UPDATE relay_lease SET expires = clock_timestamp() + $3 WHERE name = $1 AND epoch = $2
RETURNING epoch
"""
_GIVE_BACK = "UPDATE relay_lease SET expires = '-infinity' WHERE name = $1 AND epoch = $2"


@dataclass(slots=True)
class Lease:
    """Held from `epoch` being set until it is lost; `epoch` stands in every write it guards."""

    name: str
    duration: timedelta
    epoch: int | None = None
    renewed: float = 0.0

    async def hold(self, connection: Connection) -> bool:
        """Take or keep the lease; a third of its duration passes between two renewals."""
        asked = time.monotonic()
        if self.epoch is not None and asked - self.renewed < self.duration.total_seconds() / 3:
            return True
        if self.epoch is None:
            holder = str(uuid4())
            self.epoch = await connection.fetchval(_TAKE, self.name, holder, self.duration)
        else:
            self.epoch = await connection.fetchval(_RENEW, self.name, self.epoch, self.duration)
        # Counted from before the question, so that we never believe in it longer than the database.
        self.renewed = asked
        return self.epoch is not None

    def surely_held(self) -> bool:
        """Tell whether more than half of the lease is left: time enough for one round of sending.

        A process that was stopped (SIGSTOP, a paused machine) finds out here, as the clock went on.
        """
        spent = time.monotonic() - self.renewed
        return self.epoch is not None and spent < self.duration.total_seconds() / 2

    async def give_back(self, connection: Connection) -> None:
        """Let another process take over at once."""
        if self.epoch is not None:
            await connection.execute(_GIVE_BACK, self.name, self.epoch)
            self.epoch = None
