"""The HTTP door of notification: how it is; nobody asks it anything else yet."""

from collections.abc import Mapping

from fastapi import FastAPI

from libs.service.apps import internal_app
from libs.web.health import Check, Readings, health_routes


def internal_listener(service: str, checks: Mapping[str, Check], readings: Readings) -> FastAPI:
    """Make the only listener; there is no public one."""
    return internal_app(service, routers=[health_routes(checks, readings)])
