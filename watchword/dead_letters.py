"""Dead letters: what a consumer gave up, and sending it again after the fix."""

from dataclasses import dataclass

from rich.markup import escape

from contracts.topics import LIVE_TOPICS
from libs.messaging.dead_letters import DeadLetter, list_dead_letters, replay
from libs.messaging.kafka import KafkaSettings


@dataclass(frozen=True)
class Replayed:
    """How many letters were wanted, and how many are surely in their topic again."""

    wanted: int
    sent: int


class NoSuchLetter(Exception):  # noqa: N818
    """A number that the list does not have."""


def known_topic(text: str) -> str:
    """Return the topic; raises ValueError where there is none of that name."""
    known = [topic.name for topic in LIVE_TOPICS]
    if text not in known:
        raise ValueError(f"no topic is called {text}; there are {', '.join(known)}")
    return text


async def found(kafka: KafkaSettings, topic: str) -> list[DeadLetter]:
    """Return the dead letters of a topic, oldest first."""
    return [letter async for letter in list_dead_letters(kafka, topic)]


async def replay_some(
    kafka: KafkaSettings, topic: str, *, numbers: list[int] | None, dry_run: bool
) -> Replayed:
    """Send the numbered letters, or all, to their topic again; raises NoSuchLetter."""
    listed = dict(enumerate(await found(kafka, topic), start=1))
    chosen = sorted(set(numbers)) if numbers else list(listed)
    missing = [str(number) for number in chosen if number not in listed]
    if missing:
        raise NoSuchLetter(
            f"{topic} has no dead letter {', '.join(missing)}: the list has {len(listed)}"
        )
    sent = await replay(kafka, [listed[number] for number in chosen], dry_run=dry_run)
    return Replayed(wanted=len(chosen), sent=len(sent))


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
