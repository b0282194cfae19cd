"""Liveness, readiness and metrics, on the internal listener."""

from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel

# Returns what is wrong, or None.
Check = Callable[[], Awaitable[str | None]]
Readings = Callable[[], Mapping[str, float]]


class Readiness(BaseModel):
    """Whether the service can do its work, and what stands in the way."""

    ready: bool
    problems: dict[str, str]


def health_routes(checks: Mapping[str, Check], readings: Readings) -> APIRouter:
    """Make /health/live, /health/ready and /metrics."""
    router = APIRouter(tags=["health"])
    registry = CollectorRegistry()
    registry.register(_Readings(readings))

    @router.get("/health/live")
    async def live() -> dict[str, bool]:
        return {"alive": True}

    @router.get("/health/ready", responses={503: {"model": Readiness}})
    async def ready(response: Response) -> Readiness:
        problems = {name: wrong for name, check in checks.items() if (wrong := await check())}
        response.status_code = 503 if problems else 200
        return Readiness(ready=not problems, problems=problems)

    @router.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


class _Readings(Collector):
    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> list[Metric]:
        return [
            GaugeMetricFamily(f"watchword_{name}", name.replace("_", " "), value=value)
            for name, value in self._readings().items()
        ]
