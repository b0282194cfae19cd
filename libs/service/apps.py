"""The two listeners of a service: the public one, and one for services and operators."""

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig

from libs.web.problems import answer_with_problems

_LARGEST_BODY = 64 * 1024
# Metrics are our own readings; automatic configuration would add exporters nobody asked for.
_TELEMETRY = TelemetryConfig(tracing=True, metrics=False, logs=False, auto_configure=False)


def public_app(service: str, *, title: str, routers: Sequence[APIRouter]) -> FastAPI:
    """Make the app behind the front door; its OpenAPI document is at /openapi/<service>.json."""
    app = FastAPI(
        title=title,
        version="1",
        openapi_url=f"/openapi/{service}.json",
        docs_url=None,
        redoc_url=None,
        max_body_size=_LARGEST_BODY,
        telemetry=_TELEMETRY,
    )
    return _with(app, routers)


def internal_app(service: str, *, routers: Sequence[APIRouter]) -> FastAPI:
    """Make the app that the front door never routes to."""
    app = FastAPI(
        title=f"{service}, internal",
        openapi_url=None,
        max_body_size=1024 * 1024,
        telemetry=_TELEMETRY,
    )
    return _with(app, routers)


def _with(app: FastAPI, routers: Sequence[APIRouter]) -> FastAPI:
    answer_with_problems(app)
    for router in routers:
        app.include_router(router)
    return app
