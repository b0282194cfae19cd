"""The header that shows that a person is present."""

from typing import Annotated

from fastapi import Header
from pydantic import StringConstraints

# A receipt of verification has some 700 characters.
_LONGEST = 2048

Receipt = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$", max_length=_LONGEST)] | None,
    Header(
        alias="Watchword-Receipt",
        description="A receipt of the last minutes about this subject, from `POST /v1/verify`, or"
        " the `presence` of a confirmation; good once.",
    ),
]
