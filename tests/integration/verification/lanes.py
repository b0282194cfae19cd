"""The two lanes of POST /v1/verify."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


def whole_bodies(app: ASGIApp) -> ASGIApp:
    """Return the app behind a server that hands a small body over in one message.

    The test client's transport says of every body that more may come, so that alone it would never
    take the fast lane.
    """

    async def server(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        while message.get("more_body", False):
            more = await receive()
            message = {**more, "body": message["body"] + more["body"]}
        waiting: list[Message] = [message]

        async def once() -> Message:
            return waiting.pop() if waiting else await receive()

        await app(scope, once, send)

    return server
