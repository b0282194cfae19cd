"""What verification is told from outside; environment variables WATCHWORD_VERIFICATION_..."""

from datetime import timedelta

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from libs.service.settings import ServiceSettings

# NIST SP 800-63B-4 section 2.1.3: at AAL1, a person proves anew after 30 days.
_LONGEST = timedelta(days=30)
# A code is good for 15 seconds at least, and those of one step either side.
_LARGEST_OFFSET = timedelta(seconds=10)


class Settings(ServiceSettings):
    """Beside what every service has.

    `settle_dsn` is the narrow role's. `redis_url` is redis://, or redis+cluster:// with any node of
    a cluster (rediss with TLS). At most `places` requests are judged at once. The bucket of
    failures holds `guesses_at_once` and loses `guesses_a_day` in 24 hours; the start refuses what
    would make blind guessing too likely. After
    `failures_before_waiting` failures in a row each further one is followed by a wait: 30 seconds,
    then twice as long each time, up to an hour. Over all subjects together, wrong codes of a
    tenant, an application and a source are limited likewise.
    `names_in_memory` subjects are found without asking PostgreSQL. `receipt_issuer` is
    what receipts say of who issued them: the address by which applications know this deployment.
    A device that is remembered is asked again after `remember_for`; 0 remembers none. Of the
    traces that begin here `traces_sampled` (0 to 1) are kept, a caller's own word counts before it:
    to trace each verification adds two thirds to its cost.
    A node whose clock is off from PostgreSQL's by `clock_tolerance` judges nothing. After a standby
    was promoted, `quarantine_after_promotion` refuses codes that may have been accepted before
    without its knowledge; where all standbys are synchronous it can be switched off.
    """

    model_config = SettingsConfigDict(env_prefix="WATCHWORD_VERIFICATION_", frozen=True)

    settle_dsn: SecretStr
    redis_url: SecretStr
    policy_url: str = Field(pattern=r"^https?://[^/]+$")
    enrollment_url: str = Field(pattern=r"^https?://[^/]+$")
    guesses_at_once: int = 10
    guesses_a_day: int = 20
    consecutive_failures: int = 50
    failures_before_waiting: int = 5
    tenant_guesses_at_once: int = 100_000
    tenant_guesses_a_day: int = 1_000_000
    application_guesses_at_once: int = 100_000
    application_guesses_a_day: int = 1_000_000
    source_guesses_at_once: int = 100
    source_guesses_a_day: int = 1_000
    names_in_memory: int = 100_000
    places: int = Field(default=256, ge=8)
    receipt_issuer: str = Field(default="https://watchword.invalid", min_length=1)
    traces_sampled: float = Field(default=0.01, ge=0, le=1)
    remember_for: timedelta = Field(default=timedelta(days=7), ge=timedelta(0), le=_LONGEST)
    clock_tolerance: timedelta = Field(
        default=timedelta(seconds=2), gt=timedelta(0), le=_LARGEST_OFFSET
    )
    quarantine_after_promotion: bool = True
