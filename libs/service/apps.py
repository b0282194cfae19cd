"""The two listeners of a service: the public one, and one for services and operators."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig

from libs.web.problems import COMPONENT, ProblemBody, answer_with_problems, documented
from libs.web.strict_json import strict_json

_LARGEST_BODY = 64 * 1024
# Metrics are our own readings; automatic configuration would add exporters nobody asked for.
_TELEMETRY = TelemetryConfig(tracing=True, metrics=False, logs=False, auto_configure=False)


class _PublicApp(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, with the problems that no route says for itself."""
        document = super().openapi()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.setdefault(COMPONENT, ProblemBody.model_json_schema())
        for operation in (one for path in document["paths"].values() for one in path.values()):
            _add_problems(operation)
        return document


def public_app(service: str, *, title: str, routers: Sequence[APIRouter]) -> FastAPI:
    """Make the app behind the front door; its OpenAPI document is at /openapi/<service>.json."""
    app = _PublicApp(
        title=title,
        version="1",
        # An address that is nearly right is 404, not a redirect that clients follow without body.
        redirect_slashes=False,
        openapi_url=f"/openapi/{service}.json",
        generate_unique_id_function=_operation_id,
        docs_url=None,
        redoc_url=None,
        max_body_size=_LARGEST_BODY,
        telemetry=_TELEMETRY,
    )
    app.add_middleware(strict_json)
    return _with(app, routers)


def internal_app(service: str, *, routers: Sequence[APIRouter]) -> FastAPI:
    """Make the app that the front door never routes to."""
    app = FastAPI(
        title=f"{service}, internal",
        openapi_url=None,
        redirect_slashes=False,
        max_body_size=1024 * 1024,
        telemetry=_TELEMETRY,
    )
    return _with(app, routers)


def _with(app: FastAPI, routers: Sequence[APIRouter]) -> FastAPI:
    answer_with_problems(app)
    for router in routers:
        app.include_router(router)
    return app


def _add_problems(operation: dict[str, Any]) -> None:
    """Say what may happen anywhere: the machinery is away, or a body is not what a route takes."""
    statuses = (413, 415, 503) if "requestBody" in operation else (503,)
    for status, described in documented(*statuses).items():
        operation["responses"].setdefault(str(status), described)


def _operation_id(route: APIRoute) -> str:
    return route.name
