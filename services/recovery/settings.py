"""What recovery is told from outside; environment variables WATCHWORD_RECOVERY_..."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from libs.service.settings import ServiceSettings


class Settings(ServiceSettings):
    """Beside what every service has."""

    model_config = SettingsConfigDict(env_prefix="WATCHWORD_RECOVERY_", frozen=True)

    policy_url: str = Field(pattern=r"^https?://[^/]+$")
    enrollment_url: str = Field(pattern=r"^https?://[^/]+$")
