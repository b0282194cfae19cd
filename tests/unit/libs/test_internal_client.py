import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import httpx2
import pytest

from libs.clock import system_clock
from libs.web.internal_client import ANSWERED_WITHIN, InternalClient, Unreachable
from services.enrollment.use_cases import remove
from tests.fixtures.services import identity_of

_LIMIT = timedelta(milliseconds=100)
_STEP = _LIMIT / 4


class _Dripping(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(_STEP.total_seconds())
            yield b" "


async def _silent(_request: httpx2.Request) -> httpx2.Response:
    await asyncio.Event().wait()
    return httpx2.Response(200, json={})


async def _dripping(_request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, stream=_Dripping())


@pytest.mark.parametrize("answer", [_silent, _dripping])
async def test_who_does_not_answer_in_time_is_unreachable(
    answer: Callable[[httpx2.Request], Awaitable[httpx2.Response]],
) -> None:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as http:  # type: ignore[arg-type]
        client = InternalClient(
            http, identity_of("enrollment"), "verification", "http://there", system_clock, _LIMIT
        )

        with pytest.raises(Unreachable, match="verification: TimeoutError"):
            async with asyncio.timeout(2):
                await client.post("/internal/revocations", {})


def test_a_removal_has_heard_before_the_worker_asks_again() -> None:
    assert ANSWERED_WITHIN <= remove._RETRY_AFTER
