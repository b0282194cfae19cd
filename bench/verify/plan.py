"""How much is measured, and how long that takes."""

from dataclasses import dataclass

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
