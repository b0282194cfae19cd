"""The one front door: which path leads to which service. `/internal` leads nowhere."""

from collections.abc import Mapping

ROUTES: Mapping[str, tuple[str, ...]] = {
    "policy": ("/v1/tenants", "/v1/applications", "/v1/policies", "/v1/subjects"),
    "enrollment": ("/v1/enrollments", "/v1/authenticators"),
    "verification": ("/v1/decisions", "/v1/verify"),
    "recovery": ("/v1/recovery-keys", "/v1/recoveries", "/v1/resets"),
}


def caddyfile(*, port: int, upstreams: Mapping[str, str]) -> str:
    """Return Caddy's configuration; `upstreams` are the services' public addresses."""
    routes = "".join(
        _route(service, paths, upstream=upstreams[service]) for service, paths in ROUTES.items()
    )
    return f"""{{
    admin off
    auto_https off
    servers {{
        trusted_proxies_strict
    }}
}}
http://:{port} {{
    bind 127.0.0.1
    request_body {{
        max_size 64KB
    }}
    header -Server
{routes}    respond `{{"code":"not_found","title":"There is no such thing here","status":404}}` 404
}}
"""


def _route(service: str, paths: tuple[str, ...], *, upstream: str) -> str:
    matched = " ".join(f"{path} {path}/*" for path in (*paths, f"/openapi/{service}.json"))
    return (
        f"    @{service} path {matched}\n"
        f"    handle @{service} {{\n        reverse_proxy {upstream}\n    }}\n"
    )
