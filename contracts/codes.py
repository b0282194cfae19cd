"""Codes that are sent to people."""

from enum import StrEnum


class CodeChannel(StrEnum):
    """How a code is to reach a person."""

    EMAIL = "email"
    SMS = "sms"
    VOICE = "voice"


class CodePurpose(StrEnum):
    """What a code is for: to open an enrollment, or to confirm that a number is the person's."""

    OPEN = "open"
    CONFIRM = "confirm"
