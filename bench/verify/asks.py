"""The requests, as bytes: what an application sends, and which answer is the right one."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

from bench.verify.people import People, TakeTurn, name_of, present_step

# The next request; None where nobody has an unused code.
NextAsk = Callable[[], bytes | None]
# After five failures in a row the sixth wrong code would have to wait.
WRONG_CODES_EACH = 5


@dataclass(frozen=True)
class Asks:
    """A kind of request, and the status that each of them must be answered with."""

    name: str
    expected: int
    next: NextAsk


class Writer:
    """Writes requests of one application; every one has an Idempotency-Key of its own."""

    def __init__(self, *, key: str) -> None:
        # The first parts of a UUID for this run, the last for the request: as long as a UUID.
        self._run = str(uuid4())[:24]
        self._count = itertools.count()
        self._head = (
            "POST /v1/verify HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n"
            f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
            "Idempotency-Key: "
        )

    def write(self, number: int, code: str, *, receipt: bool = False) -> bytes:
        """Return the request to judge a code."""
        wanted = ', "receipt": {"nonce": "0123456789abcdef"}' if receipt else ""
        body = f'{{"subject": "{name_of(number)}", "code": "{code}"{wanted}}}'
        repeat = f"{self._run}{next(self._count):012x}"
        return f"{self._head}{repeat}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def accepted(writer: Writer, people: People, take: TakeTurn, *, receipt: bool = False) -> Asks:
    """Return requests with right codes, each of them for the first time."""

    def ask() -> bytes | None:
        turn = take()
        if turn is None:
            return None
        return writer.write(turn[0], people.code(*turn), receipt=receipt)

    return Asks("accepted", 200, ask)


def refused(writer: Writer, people: People) -> Asks:
    """Return requests of people who have no guess left, though with right codes."""
    numbers = itertools.cycle(people.without_guesses)

    def ask() -> bytes | None:
        number = next(numbers)
        return writer.write(number, people.code(number, present_step(people.period)))

    return Asks("refused", 403, ask)


def wrong(writer: Writer, people: People) -> Asks:
    """Return requests with wrong codes, of people who have guesses left."""
    numbers = _each_several_times(people.guessing)

    def ask() -> bytes | None:
        number = next(numbers, None)
        if number is None:
            return None
        return writer.write(number, people.wrong_code(number, present_step(people.period)))

    return Asks("wrong", 403, ask)


def same_each_time(writer: Writer) -> Asks:
    """Return requests for servers that do not read them, of the same size as the others."""
    ask = writer.write(0, "000000")
    return Asks("nothing", 200, lambda: ask)


def _each_several_times(numbers: range) -> Iterator[int]:
    for _ in range(WRONG_CODES_EACH):
        yield from numbers
