"""How a handler says that it could not do its work with a message."""


class HandlerFailed(Exception):  # noqa: N818 - says what happened
    """A handler could not do its work with this message; `cause` is the name of a class."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause
