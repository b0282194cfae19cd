"""What enrollment is told from outside; environment variables WATCHWORD_ENROLLMENT_..."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from libs.service.settings import ServiceSettings


class Settings(ServiceSettings):
    """Beside what every service has: where policy and verification take internal calls."""

    model_config = SettingsConfigDict(env_prefix="WATCHWORD_ENROLLMENT_", frozen=True)

    policy_url: str = Field(pattern=r"^https?://[^/]+$")
    verification_url: str = Field(pattern=r"^https?://[^/]+$")
