"""Dead letters: what a consumer gave up, and sending it again after the fix."""

from dataclasses import dataclass

from rich.markup import escape

from libs.messaging.dead_letters import DeadLetter, list_dead_letters, replay
from libs.messaging.kafka import KafkaSettings


@dataclass(frozen=True)
class Replayed:
    """How many letters were wanted, and how many are surely in their topic again."""

    wanted: int
    sent: int


async def found(kafka: KafkaSettings, topic: str) -> list[DeadLetter]:
    """Return the dead letters of a topic, oldest first."""
    return [letter async for letter in list_dead_letters(kafka, topic)]


async def replay_some(
    kafka: KafkaSettings, topic: str, *, numbers: list[int] | None, dry_run: bool
) -> Replayed:
    """Send the numbered letters, or all, to their topic again."""
    letters = [
        letter
        for number, letter in enumerate(await found(kafka, topic), start=1)
        if numbers is None or number in numbers
    ]
    sent = await replay(kafka, letters, dry_run=dry_run)
    return Replayed(wanted=len(letters) if numbers is None else len(numbers), sent=len(sent))


def readable(number: int, letter: DeadLetter) -> str:
    """Return one line for people (rich markup); never the value."""
    place = f"{letter.topic}/{letter.partition}/{letter.offset}"
    return (
        f"{number:>4} {letter.died:%Y-%m-%d %H:%M:%S} [bold]{escape(place)}[/] given up by"
        f" {escape(letter.group)} after {letter.attempts}: {escape(letter.exception)}"
    )


def as_dict(number: int, letter: DeadLetter) -> dict[str, object]:
    """Return the letter for programs; never the value."""
    return {
        "number": number,
        "died": letter.died.isoformat(),
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "key": letter.key,
        "group": letter.group,
        "exception": letter.exception,
        "attempts": letter.attempts,
        "omitted": letter.omitted,
    }
