"""Dead letters: what a consumer gave up, and sending it again after the fix."""

from dataclasses import dataclass

from rich.markup import escape

from contracts.topics import LIVE_TOPICS
from libs.messaging.dead_letters import DeadLetter, list_dead_letters, replay
from libs.messaging.kafka import KafkaSettings


@dataclass(frozen=True)
class Replayed:
    """How many letters were wanted, of how many events, and how many are surely sent again."""

    letters: int
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
    """Return the dead letters of a topic that were not sent again, oldest first."""
    return await list_dead_letters(kafka, topic)


async def replay_some(
    kafka: KafkaSettings, topic: str, *, numbers: list[int] | None, dry_run: bool
) -> Replayed:
    """Send the numbered letters' events, or all, to their topic again; raises NoSuchLetter."""
    listed = {letter.number: letter for letter in await found(kafka, topic)}
    missing = sorted(set(numbers or ()) - set(listed))
    if missing:
        raise NoSuchLetter(
            f"{topic} has no dead letter {', '.join(map(str, missing))}: see the list"
        )
    chosen = [listed[number] for number in sorted(set(numbers or listed))]
    sent = await replay(kafka, chosen, dry_run=dry_run)
    return Replayed(len(chosen), wanted=len({letter.place for letter in chosen}), sent=len(sent))


def readable(letter: DeadLetter) -> str:
    """Return one line for people (rich markup); never the value."""
    return (
        f"{letter.number:>4} {letter.died:%Y-%m-%d %H:%M:%S} [bold]{escape(letter.place)}[/]"
        f" given up by"
        f" {escape(letter.group)} after {letter.attempts}: {escape(letter.exception)}"
    )


def as_dict(letter: DeadLetter) -> dict[str, object]:
    """Return the letter for programs; never the value."""
    return {
        "number": letter.number,
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
