"""One word for one thing; every service, event and document uses these and no others.

tenant: a customer of the operator, with keys of its own. application: a tenant's app that calls us.
subject: the person or login being protected; `subject_ref` is its only id in Kafka, logs and Redis.
authenticator: one enrolled thing. factor: its kind. enrollment: becoming enrolled.
challenge: one request for proof. answer: what the person gives. decision: what an application
should do now. outcome: how an answer was judged. recovery: getting back in when the authenticator
is lost.
"""

from enum import StrEnum


class Factor(StrEnum):
    """The kind of an authenticator; e-mail is not a factor (requirement D4)."""

    TOTP = "totp"
    HOTP = "hotp"
    SMS = "sms"
    VOICE = "voice"
    PIN = "pin"
    PUSH = "push"
    PASSKEY = "passkey"
    RECOVERY_CODE = "recovery_code"
    RECOVERY_KEY = "recovery_key"


class Requirement(StrEnum):
    """What an application asks of its subjects."""

    OFF = "off"
    REQUIRED = "required"


class DecisionKind(StrEnum):
    """What the application should do now."""

    ALLOW = "allow"
    CHALLENGE = "challenge"
    ENROLL = "enroll"
    DENY = "deny"


class Scope(StrEnum):
    """What an application key may do."""

    ENROLL = "enroll"
    VERIFY = "verify"
    VERIFY_REASONS = "verify:reasons"
    MANAGE = "manage"


class KeyMode(StrEnum):
    """Whether an application key is for trials or for real logins."""

    TEST = "test"
    LIVE = "live"


class Algorithm(StrEnum):
    """The hash of a one-time password (RFC 6238 section 1.2)."""

    SHA1 = "SHA1"
    SHA256 = "SHA256"
    SHA512 = "SHA512"


class Language(StrEnum):
    """A language that messages and pages exist in."""

    ENGLISH = "en"
    DUTCH = "nl"


class Service(StrEnum):
    """A service, as publisher of events and as caller of internal routes."""

    POLICY = "policy"
    ENROLLMENT = "enrollment"
    VERIFICATION = "verification"
    NOTIFICATION = "notification"
    RECOVERY = "recovery"
