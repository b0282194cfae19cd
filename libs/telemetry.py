"""OpenTelemetry traces: where they go, and how they cross HTTP and Kafka."""

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from opentelemetry import trace
from opentelemetry.context import Context, create_key, get_value, set_value
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as MutableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import (
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, Span, SpanKind, TraceFlags, TraceState
from opentelemetry.util.types import Attributes

_SAMPLED = {"root": 0.0}
_CHOSEN = create_key("chosen")
_TRACER = trace.get_tracer("watchword")
_TRACEPARENT = re.compile("00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# A path that matches no route, or a query that nobody asked for, may hold an address or a code.
_CALLERS_WORDS = ("url.path", "url.query", "url.full", "http.target", "http.url")


class FileExporter(SpanExporter):
    """Writes one JSON line a span, for a machine without a collector."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Append the spans to the file."""
        with self._path.open("a") as file:
            file.writelines(_line(span) for span in spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Do nothing: the file is closed after every write."""


class _ChosenOrShare(Sampler):
    """Takes the roots that were chosen before they were made, and a share of all others."""

    def __init__(self, share: float) -> None:
        self._share = TraceIdRatioBased(share)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Say whether a span without a parent is recorded."""
        if get_value(_CHOSEN, parent_context):
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
        return self._share.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """Return what shows in a collector."""
        return f"ChosenOr{self._share.get_description()}"


class WithoutAddresses(SpanProcessor):
    """Takes the caller's words out of request spans; `http.route` says which route it was."""

    def on_start(
        self,
        span: MutableSpan,
        parent_context: Context | None = None,  # noqa: ARG002 - the interface
    ) -> None:
        """Overwrite what FastAPI writes at the start of a span."""
        for name in _CALLERS_WORDS:
            if span.attributes and name in span.attributes:
                span.set_attribute(name, "[redacted]")


def configure_traces(
    *, service: str, endpoint: str | None, file: Path | None, sampled: float
) -> TracerProvider:
    """Send `sampled` (0 to 1) of all traces to an OTLP collector and, or, a file of JSON lines."""
    resource = Resource.create({"service.name": service})
    provider = TracerProvider(resource=resource, sampler=ParentBased(_ChosenOrShare(sampled)))
    _SAMPLED["root"] = sampled
    provider.add_span_processor(WithoutAddresses())
    if endpoint is not None:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    if file is not None:
        processor = BatchSpanProcessor(FileExporter(file), schedule_delay_millis=500)
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    return provider


def is_chosen(traceparent: str | None) -> bool:
    """Choose whether a request is traced, before the cost of a span: its parent's word counts."""
    if traceparent is not None:
        return bool(int(traceparent[-2:], 16) & TraceFlags.SAMPLED)
    # Nothing secret hangs on it.
    return random.random() < _SAMPLED["root"]  # noqa: S311


def read_traceparent(text: str | None) -> str | None:
    """Return a caller's W3C trace context, or None where it is none: it goes into events."""
    return text if text is not None and _TRACEPARENT.fullmatch(text) else None


def current_traceparent() -> str | None:
    """Return the W3C trace context of what runs now, or None where nothing is traced."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def trace_headers() -> dict[str, str]:
    """Return the headers that carry the trace on to another service."""
    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier


@contextmanager
def span(
    name: str,
    *,
    traceparent: str | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, str | int] | None = None,
    chosen: bool = False,
) -> Iterator[Span]:
    """Run a block inside a span; `traceparent` continues a trace that came by Kafka or a table.

    One that was `chosen` is sampled whatever its share. Neither name nor attributes may hold a
    subject, an address or a number.
    """
    parent = extract({"traceparent": traceparent}) if traceparent else None
    if chosen:
        parent = set_value(_CHOSEN, True, parent)
    with _TRACER.start_as_current_span(
        name, context=parent, kind=kind, attributes=attributes, record_exception=False
    ) as current:
        yield current


def _line(span: ReadableSpan) -> str:
    context = span.get_span_context()
    parent = span.parent
    entry = {
        "trace": f"{context.trace_id:032x}" if context else None,
        "span": f"{context.span_id:016x}" if context else None,
        "parent": f"{parent.span_id:016x}" if parent else None,
        "service": span.resource.attributes.get("service.name"),
        "name": span.name,
        "kind": span.kind.name,
        "start": span.start_time,
        "end": span.end_time,
        "attributes": dict(span.attributes or {}),
        "status": span.status.status_code.name,
    }
    return json.dumps(entry, default=str) + "\n"
