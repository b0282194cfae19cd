import asyncio
import json
from base64 import urlsafe_b64encode
from datetime import datetime

import pytest
from starlette.requests import Request

from libs.clock import system_clock
from libs.web.identity import InternalCallers
from libs.web.problems import Problem
from tests.fixtures.services import identity_of

_DEEP = "[" * 100_000
_ISSUER = json.dumps({"iss": "recovery"})


def _part(text: str) -> str:
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


async def _never(_token_id: str, _until: datetime) -> bool:
    raise AssertionError("nothing of a bad token is stored")


@pytest.mark.security("S12")
@pytest.mark.parametrize(("header", "claims"), [("{}", _DEEP), (_DEEP, _ISSUER)])
def test_a_token_of_deeply_nested_json_is_refused(header: str, claims: str) -> None:
    callers = InternalCallers(
        identity_of("enrollment"),
        take_once=_never,
        clock=system_clock,
        allowed=frozenset({"recovery"}),
    )
    token = f"Bearer {_part(header)}.{_part(claims)}.{_part('x')}"
    request = Request({"type": "http", "headers": [(b"authorization", token.encode())]})

    with pytest.raises(Problem) as refused:
        asyncio.run(callers(request))

    assert refused.value.status == 401
