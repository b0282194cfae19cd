"""PINs are checked beside the event loop, a few at a time: argon2id is made to be slow."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore

from services.verification.domain.pin import pin_holds

# A check takes 30 to 45 ms of a core (19 MiB, t=2, p=1): with as many waiting as may, the last one
# has its answer within a second and a half, well before a request is given up.
_AT_ONCE = 2
MOST_WAITING = 64


class TooManyPins(Exception):  # noqa: N818
    """So many checks wait that one more would not be done in time."""


class PinChecks:
    """Threads for argon2, which leaves Python to others while it runs."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="pin")
        self._free = BoundedSemaphore(MOST_WAITING)

    def begin(self, stored_hash: bytes, pin: str) -> "asyncio.Future[bool]":
        """Begin a check; raises TooManyPins at once where too many wait already."""
        if not self._free.acquire(blocking=False):
            raise TooManyPins
        check = self._threads.submit(pin_holds, stored_hash, pin)
        # When the thread is done, not the request: whoever hangs up frees no thread by it.
        check.add_done_callback(self._ended)
        return asyncio.wrap_future(check)

    def _ended(self, _: Future[bool]) -> None:
        self._free.release()
