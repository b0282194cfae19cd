"""How much is measured, and how long that takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.verify.people import People

AT_ONCE = (1, 32, 128)
# For what is measured at one degree of concurrency only.
MIDDLE = 32
# Of the highest load, for the latency of a service that is busy and not overrun.
BUSY = 0.6
_START_SECONDS = 18.0
_PEOPLE_A_SECOND = 9_000


@dataclass(frozen=True)
class Plan:
    """Seconds are those of one round of one kind."""

    people: int
    without_guesses: int
    guessing: int
    rounds: int
    warm_up_seconds: float
    noop_seconds: float
    service_seconds: float
    other_seconds: float
    open_seconds: float

    @property
    def total_seconds(self) -> float:
        """Return about how long all of it takes."""
        pairs = len(AT_ONCE) * (self.noop_seconds + self.service_seconds)
        # Three more pairs (receipt, wrong, refused), five more baselines, two stores.
        others = 3 * (self.noop_seconds + self.service_seconds) + 7 * self.other_seconds
        setting_up = _START_SECONDS + self.people / _PEOPLE_A_SECOND + 1.3 * self.warm_up_seconds
        return setting_up + self.rounds * (pairs + others) + self.open_seconds

    def crowd(self, seed: bytes) -> People:
        """Return who is enrolled."""
        return People(
            count=self.people,
            full=min(self.without_guesses, self.people // 10),
            wrong=min(self.guessing, self.people // 4),
            seed=seed,
        )


FULL = Plan(
    people=100_000,
    without_guesses=100,
    guessing=2_500,
    rounds=5,
    warm_up_seconds=25,
    noop_seconds=2,
    service_seconds=4,
    other_seconds=1.5,
    open_seconds=12,
)
QUICK = Plan(
    people=10_000,
    without_guesses=20,
    guessing=200,
    rounds=1,
    warm_up_seconds=3,
    noop_seconds=0.7,
    service_seconds=1.5,
    other_seconds=0.5,
    open_seconds=2,
)


@dataclass(frozen=True)
class Comparison:
    """How much is measured where two ways of running are compared; seconds are of one round."""

    rounds: int
    # On the servers that most comparisons share.
    people: int
    # The shortest that verification takes: a person serves one request in each.
    period: int
    # At MIDDLE or more connections, each asking again as soon as it is answered.
    seconds: float
    # With a fixed number of requests a second.
    open_seconds: float
    best_seconds: float
    # Enrolled in the two systems that are compared; a round asks for so many people as the few.
    many: int
    few: int
    # Asked for before anything is measured: more than verification remembers names.
    met: int
    # How long the memory is watched.
    memory_seconds: float
    # In both systems. By default PostgreSQL has 128 MB, a seventh of what a million people take.
    postgres: Mapping[str, str] = field(
        default_factory=lambda: {"shared_buffers": "2GB", "max_wal_size": "8GB"}
    )


COMPARED = Comparison(
    rounds=5,
    people=45_000,
    period=15,
    seconds=2,
    open_seconds=4,
    best_seconds=1.5,
    many=1_000_000,
    few=1_000,
    met=110_000,
    memory_seconds=15,
)
GLANCED_AT = Comparison(
    rounds=1,
    people=8_000,
    period=15,
    seconds=0.7,
    open_seconds=1,
    best_seconds=0.5,
    many=20_000,
    few=1_000,
    met=5_000,
    memory_seconds=2,
)
