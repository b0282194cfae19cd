"""Structured logs without secrets: one JSON object a line on standard output."""

import logging
import re
import sys
from collections.abc import Mapping

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED = "[redacted]"

# Names under which a value never appears, whatever it is.
_SECRET_NAMES = re.compile(
    r"(^|_)(code|codes|secret|seed|password|authorization|api_key|token|ticket|recovery_key|otpauth"
    r"|address|email|phone|number|body|digest|dsn|private_key)$"
)
# Shapes taken out of any text: our keys, otpauth and e-mail addresses, JWTs, codes, DSNs.
_SECRET_SHAPES = re.compile(
    r"ww_(?:test|live)_\w+|otpauth(?:-migration)?://\S+|[\w.+-]+@[\w-]+\.[\w.-]+"
    r"|eyJ[\w-]+\.[\w-]+\.[\w-]+|(?<![\w-])\d{6,10}(?![\w-])|(?:[0-9A-Z]{4}-){7}[0-9A-Z]{4}"
    r"|postgres(?:ql)?(?:\+\w+)?://\S+|rediss?://\S+"
)


def redact_text(text: str) -> str:
    """Return the text without anything that has the shape of a secret or an address."""
    return _SECRET_SHAPES.sub(REDACTED, text)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take secrets out of one log entry, by name and by shape (a structlog processor)."""
    return {name: _redacted(name, value) for name, value in event.items()}


def configure_logs(*, service: str, level: int = logging.INFO) -> None:
    """Send all logs of this process, libraries' included, to standard output as JSON lines."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _adds(service),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(default=str),
        ],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Uvicorn's access log quotes paths and clients; our own counters replace it.
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    logging.getLogger("httpx2").setLevel(logging.WARNING)


def _adds(service: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return add


def _redacted(name: str, value: object) -> object:
    if _SECRET_NAMES.search(name) and not isinstance(value, bool | None):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        return REDACTED
    if isinstance(value, Mapping):
        return {str(key): _redacted(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_redacted(name, item) for item in value]
    return value
