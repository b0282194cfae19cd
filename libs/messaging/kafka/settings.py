"""Where the brokers are, what a topic is to be, and what a record is."""

import asyncio
import contextlib
import ssl
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

import aiokafka
from aiokafka.errors import KafkaError

Place: TypeAlias = tuple[str, int]  # topic and partition

_CLOSE_LIMIT = 5.0
# What can end a conversation with the brokers. aiokafka also lets assertions and ValueErrors of its
# own out when an answer comes at a moment it did not expect.
BROKER_ERRORS = (KafkaError, OSError, AssertionError)


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where the brokers are and how to be let in."""

    bootstrap: str
    client_id: str = "watchword"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    certificate_file: str | None = None
    private_key_file: str | None = field(default=None, repr=False)
    request_timeout: timedelta = timedelta(seconds=10)

    def client_options(self) -> dict[str, object]:
        """Return the arguments that every aiokafka client takes."""
        return {
            "bootstrap_servers": self.bootstrap,
            "client_id": self.client_id,
            "request_timeout_ms": int(self.request_timeout.total_seconds() * 1000),
            "security_protocol": self.security_protocol,
            "ssl_context": self._tls() if self.security_protocol.endswith("SSL") else None,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self.sasl_password,
        }

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.certificate_file is not None:
            context.load_cert_chain(self.certificate_file, self.private_key_file)
        return context


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was read; bytes of the key that are no UTF-8 are shown escaped."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes | None
    headers: dict[str, str]
    timestamp: datetime


def record_from(raw: aiokafka.ConsumerRecord) -> Record:
    """Translate what aiokafka read; PostgreSQL stores the key, so a NUL is escaped too."""
    key = (raw.key or b"").decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    return Record(
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
        key=key,
        value=raw.value,
        headers={name: (value or b"").decode("utf-8", "replace") for name, value in raw.headers},
        timestamp=datetime.fromtimestamp(raw.timestamp / 1000, UTC),
    )


async def close_within_limit(closing: Coroutine[object, object, object]) -> None:
    """Close a client; one that cannot say goodbye to its broker is left where it is."""
    with contextlib.suppress(TimeoutError, *BROKER_ERRORS):
        await asyncio.wait_for(closing, _CLOSE_LIMIT)
