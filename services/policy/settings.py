"""What policy needs to know from outside, read from WATCHWORD_POLICY_... variables."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from libs.service.settings import ServiceSettings


class Settings(ServiceSettings):
    """Beside what every service has.

    `operator_key_digest` is SHA-256 of the key that may make tenants, in hex; `verification_url`,
    `enrollment_url` and `recovery_url` are the base addresses of their internal listeners.
    """

    model_config = SettingsConfigDict(env_prefix="WATCHWORD_POLICY_")

    operator_key_digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    verification_url: str = Field(pattern=r"^https?://[^/]+$")
    enrollment_url: str = Field(pattern=r"^https?://[^/]+$")
    recovery_url: str = Field(pattern=r"^https?://[^/]+$")
