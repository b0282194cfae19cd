"""The PostgreSQL roles and schemas of Watchword, as SQL for an administrator to run once."""

from collections.abc import Mapping

SERVICES = ("policy", "enrollment", "verification", "notification", "recovery")
# Beside owner, app and worker: settle writes verification's outcomes for all tenants at once.
EXTRA_ROLES = {"verification": ("verification_settle",)}


def roles_of(service: str) -> tuple[str, ...]:
    """Return the roles of one service: owner (migrations), app (tenant's wall), worker, extras."""
    own = (f"{service}_owner", f"{service}_app", f"{service}_worker")
    return own + EXTRA_ROLES.get(service, ())


def role_statements(service: str, passwords: Mapping[str, str]) -> str:
    """Return SQL that makes one service's roles and schema; running it again changes nothing.

    `passwords` has one for each role; they are letters and digits only.
    """
    roles = roles_of(service)
    if not all(passwords[role].isalnum() for role in roles):
        raise ValueError("a role's password has letters and digits only")
    return "".join(
        [
            *(_role(role, service, passwords[role]) for role in roles),
            f"CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION {service}_owner;\n",
            *(f"GRANT USAGE ON SCHEMA {service} TO {role};\n" for role in roles),
        ]
    )


def _role(role: str, service: str, password: str) -> str:
    return (
        f"DO $$ BEGIN CREATE ROLE {role} LOGIN PASSWORD '{password}';"
        f" EXCEPTION WHEN duplicate_object THEN ALTER ROLE {role} PASSWORD '{password}'; END $$;\n"
        f"ALTER ROLE {role} SET search_path = {service};\n"
    )
