"""The one front door: which path leads to which service. `/internal` leads nowhere."""

import json
from collections.abc import Mapping, Sequence

ROUTES: Mapping[str, tuple[str, ...]] = {
    "policy": (
        *("/v1/tenants", "/v1/applications", "/v1/policies", "/v1/rules"),
        *("/v1/subjects", "/v1/coverage", "/v1/imports", "/v1/settings", "/v1/proposals"),
    ),
    "enrollment": (
        *("/v1/enrollments", "/v1/authenticators", "/v1/authenticator-imports"),
        "/v1/hardware-tokens",
    ),
    "verification": (
        *("/v1/decisions", "/v1/skips", "/v1/verify", "/v1/receipts", "/v1/devices", "/v1/unlocks"),
    ),
    "recovery": ("/v1/recovery-keys", "/v1/recoveries", "/v1/resets"),
}
# What Caddy itself refuses, by its status; the words are those of libs/web/problems.py. A service
# that cannot be reached is 503, as where it answers that it cannot now. 431 is not here: Go's
# server writes it before Caddy sees the request.
_PROBLEMS: Sequence[tuple[str, int, str, str]] = (
    ("handle_errors 404", 404, "not_found", "There is no such thing here"),
    ("handle_errors 413", 413, "too_large", "The request is too large"),
    ("handle_errors 502 503 504", 503, "unavailable", "This cannot be done right now"),
    ("handle_errors", 500, "internal_error", "Something went wrong on our side"),
)


def caddyfile(*, port: int, upstreams: Mapping[str, str]) -> str:
    """Return Caddy's configuration; `upstreams` are the services' public addresses."""
    routes = "".join(
        _route(service, paths, upstream=upstreams[service]) for service, paths in ROUTES.items()
    )
    problems = "".join(_problem(*problem) for problem in _PROBLEMS)
    return f"""{{
    admin off
    auto_https off
    servers {{
        trusted_proxies_strict
    }}
}}
http://:{port} {{
    bind 127.0.0.1
    @parts path /v1/imports/*/parts/* /v1/authenticator-imports/*/parts/*
    request_body @parts {{
        max_size 1MiB
    }}
    @others not path /v1/imports/*/parts/* /v1/authenticator-imports/*/parts/*
    request_body @others {{
        max_size 64KB
    }}
    header -Server
{routes}    handle {{
        error 404
    }}
{problems}}}
"""


def _route(service: str, paths: tuple[str, ...], *, upstream: str) -> str:
    matched = " ".join(f"{path} {path}/*" for path in (*paths, f"/openapi/{service}.json"))
    return (
        f"    @{service} path {matched}\n"
        f"    handle @{service} {{\n"
        f"        reverse_proxy {upstream} {{\n"
        # The services' framework refuses a large body in plain words, before our code is asked.
        "            @too_large status 413\n"
        "            handle_response @too_large {\n"
        "                error 413\n"
        "            }\n"
        "        }\n"
        "    }\n"
    )


def _problem(directive: str, status: int, code: str, title: str) -> str:
    kind = f"https://watchword.invalid/problems/{code}"
    body = {"type": kind, "code": code, "title": title, "status": status}
    retry = "        header Retry-After 1\n" if status == 503 else ""
    return (
        f"    {directive} {{\n"
        "        header -Server\n"
        "        header Content-Type application/problem+json\n"
        "        header Cache-Control no-store\n"
        f"{retry}"
        f"        respond `{json.dumps(body)}` {status}\n"
        "    }\n"
    )
