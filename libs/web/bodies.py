"""Reading a request's body before the app does, so that the app can read it again."""

from starlette.types import Message, Receive


async def read_messages(receive: Receive, *, longest: int) -> list[Message]:
    """Return the messages of a body: all of them, or a little more than `longest` bytes."""
    messages = [await receive()]
    length = len(messages[0].get("body", b""))
    while messages[-1].get("more_body", False) and length <= longest:
        messages.append(await receive())
        length += len(messages[-1].get("body", b""))
    return messages


def whole_body(messages: list[Message], *, longest: int) -> bytes | None:
    """Return the body, or None where it is longer, or the client has gone."""
    if messages[-1].get("more_body", False) or messages[-1]["type"] != "http.request":
        return None
    if len(messages) == 1:
        body = messages[0].get("body", b"")
    else:
        body = b"".join(message.get("body", b"") for message in messages)
    return body if len(body) <= longest else None


def again(messages: list[Message], receive: Receive) -> Receive:
    """Return what an app receives: these messages, and then what comes."""
    waiting = iter(messages)

    async def from_the_start() -> Message:
        message = next(waiting, None)
        return await receive() if message is None else message

    return from_the_start
