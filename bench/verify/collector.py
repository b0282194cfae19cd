"""A collector of traces that throws them away, and says how much has come for whom.

python -m bench.verify.collector PORT: POST /<whom> takes spans, GET answers {"<whom>": bytes}.
"""

import json
import sys
from collections import Counter

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send


def collector() -> ASGIApp:
    """Return the app."""
    came: Counter[str] = Counter()

    async def take(scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            came[scope["path"].removeprefix("/")] += len(message.get("body", b""))
            more = message.get("more_body", False)
        body = json.dumps(came).encode() if scope["method"] == "GET" else b""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return take


if __name__ == "__main__":
    uvicorn.run(
        collector(), port=int(sys.argv[1]), lifespan="off", access_log=False, log_level="warning"
    )
