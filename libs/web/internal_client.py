"""Calls another service's internal routes, signed, traced and under a time limit."""

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta

import httpx2

from libs.clock import Clock
from libs.telemetry import trace_headers
from libs.web.identity import Identity

# From connecting to the last byte. A person waits behind most calls: for a removal enrollment asks
# verification, for a recovery one more service stands before both, and what is answered then is
# `pending`. Until the worker of enrollment asks verification itself, three seconds after a removal,
# the request should have heard (services/enrollment/use_cases/remove.py).
ANSWERED_WITHIN = timedelta(seconds=3)


class Unreachable(Exception):  # noqa: N818 - a state of the other side, not a fault of ours
    """The other service did not answer, or answered that it cannot now; try again later."""


class Refused(Exception):  # noqa: N818
    """The other service answered no; `status` is HTTP's and `code` the problem's."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


@dataclass(frozen=True)
class InternalClient:
    """A client for the internal routes of one service."""

    http: httpx2.AsyncClient
    identity: Identity
    audience: str
    base_url: str
    clock: Clock
    timeout: timedelta = ANSWERED_WITHIN

    async def post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        """Return the JSON answer of a signed POST; raises Unreachable or Refused."""
        content = json.dumps(body).encode()
        token = self.identity.sign(
            audience=self.audience, method="POST", path=path, body=content, now=self.clock()
        )
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            **trace_headers(),
        }
        try:
            # The client's own limit would be for each step, and for each piece of the answer.
            async with asyncio.timeout(self.timeout.total_seconds()):
                response = await self.http.post(
                    self.base_url + path, content=content, headers=headers, timeout=None
                )
        except (httpx2.HTTPError, TimeoutError) as error:
            raise Unreachable(f"{self.audience}: {type(error).__name__}") from None
        return _answer(self.audience, response)


def _answer(audience: str, response: httpx2.Response) -> dict[str, object]:
    if response.status_code >= 500 or response.status_code == 429:
        raise Unreachable(f"{audience}: {response.status_code}")
    try:
        answer = response.json()
    except ValueError:
        raise Unreachable(f"{audience}: not JSON") from None
    if not isinstance(answer, dict):
        raise Unreachable(f"{audience}: not an object")
    if response.status_code >= 400:
        raise Refused(response.status_code, str(answer.get("code")))
    return answer
