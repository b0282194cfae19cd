import importlib
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest
from pydantic import ValidationError

from contracts.vocabulary import Service
from deploy.compose.keys import Keys
from deploy.local.front_door import ROUTES, caddyfile
from deploy.roles import SERVICES
from libs.service.settings import ServiceSettings, refuse_unknown_variables
from tests.unit.deploy.compose import (
    ROOT,
    containers,
    containers_of,
    environment_of,
    unescaped,
    variables,
)
from tools.asyncapi import handlers_of

MAIL_SERVER = {
    "WATCHWORD_NOTIFICATION_SMTP_HOST": "smtp.example.org",
    "WATCHWORD_NOTIFICATION_SMTP_PORT": "465",
    "WATCHWORD_NOTIFICATION_SMTP_TLS": "tls",
    "WATCHWORD_NOTIFICATION_SMTP_USER": "watchword",
    "WATCHWORD_NOTIFICATION_SMTP_PASSWORD": "secret",
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    made = Keys(tmp_path_factory.mktemp("keys"))
    made.make()
    return made


def _settings(
    service: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> ServiceSettings:
    settings: type[ServiceSettings] = importlib.import_module(
        f"services.{service}.settings"
    ).Settings
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    refuse_unknown_variables(settings)
    return settings()


@pytest.mark.parametrize("given", [{}, MAIL_SERVER], ids=["as it is", "own mail server"])
@pytest.mark.parametrize("service", SERVICES)
def test_every_container_has_what_its_service_asks_for_and_nothing_unknown(
    service: str, given: dict[str, str], keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    for container in containers_of(service).values():
        environment = environment_of(container, given) | keys.environment(service)

        settings = _settings(service, environment, monkeypatch)

        assert (settings.port, settings.internal_port) == (8000, 8001)
        assert all(name.startswith(f"WATCHWORD_{service.upper()}_") for name in environment)


@pytest.mark.parametrize("service", SERVICES)
def test_no_variable_of_a_service_is_superfluous(
    service: str, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = environment_of(containers_of(service)["migrate"], {})
    environment |= keys.environment(service)
    _settings(service, environment, monkeypatch)

    for name in environment:
        monkeypatch.delenv(name)
        if not name.endswith("HOST"):  # these have a default that is of no use in a container
            with pytest.raises(ValidationError):
                _settings(service, {}, monkeypatch)
        monkeypatch.setenv(name, environment[name])


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_a_container_for_each_role_that_does_something(service: str) -> None:
    wanted = {"migrate", "relay"}
    if service in ROUTES:
        wanted.add("api")
    # Policy reacts to no event, but to the calendar.
    if handlers_of(Service(service)) or service == Service.POLICY:
        wanted.add("consumer")

    found = containers_of(service)

    assert found.keys() == wanted
    assert {role: container["command"] for role, container in found.items()} == {
        role: [role] for role in wanted
    }


@pytest.mark.parametrize("service", SERVICES)
def test_containers_of_a_service_start_in_order_and_hold_its_keys_only(service: str) -> None:
    for role, container in containers_of(service).items():
        assert container["image"] == f"watchword-{service}"
        assert container["build"]["args"] == {"SERVICE": service}
        assert container["volumes"] == [f"{service}-keys:/keys:ro"]
        assert container["read_only"] is True
        assert container["cap_drop"] == ["ALL"]
        after = "servers" if role == "migrate" else f"{service}-migrate"
        assert container["depends_on"][after] == {"condition": "service_completed_successfully"}
        healthy = container["healthcheck"]
        assert healthy == {"disable": True} or "/health/ready" in healthy["test"][-1]


def test_urls_between_services_lead_to_the_internal_listener_of_a_container() -> None:
    everyone = containers()

    for container in everyone.values():
        for name, value in environment_of(container, {}).items():
            if name.endswith("_URL"):
                host, port = value.removeprefix("http://").split(":")
                assert everyone[host]["command"] == ["api"]
                assert port == "8001"


def test_the_front_door_reaches_public_listeners_and_no_server() -> None:
    front = {
        name for name, container in containers().items() if "front" in container.get("networks", [])
    }

    assert front == {"front-door"} | {f"{service}-api" for service in ROUTES}
    assert containers()["front-door"]["networks"] == ["front"]


def test_the_front_door_has_the_routes_of_the_local_one() -> None:
    upstreams = {service: f"{service}-api:8000" for service in ROUTES}
    local = caddyfile(port=8080, upstreams=upstreams).replace("    bind 127.0.0.1\n", "")

    ours = (ROOT / "deploy/compose/Caddyfile").read_text()

    assert _words(ours) == _words(local)


def test_caddy_takes_the_front_doors_configuration() -> None:
    caddy = Path(sysconfig.get_path("scripts")) / "caddy"
    command = (caddy, "adapt", "--validate", "--config", ROOT / "deploy/compose/Caddyfile")

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_images_of_others_are_named_with_a_version() -> None:
    foreign = {
        container["image"] for container in containers().values() if "build" not in container
    }

    assert all(re.fullmatch(r"[a-z/]+:v?[0-9][0-9.]*", image) for image in foreign), foreign


def test_kafka_is_the_one_that_the_tests_use() -> None:
    lock = (ROOT / "deploy/local/kafka.lock").read_text()

    version = containers()["kafka"]["image"].partition(":")[2]

    assert f"org.apache.kafka:kafka_2.13:{version}\n" in lock


def test_every_volume_and_dependency_exists() -> None:
    everyone = containers()
    text = (ROOT / "docker-compose.yml").read_text()

    for container in everyone.values():
        assert set(container.get("depends_on", {})) <= everyone.keys()
        for volume in container.get("volumes", []):
            name = volume.partition(":")[0]
            assert name.startswith("./") or f"\n  {name}:\n" in text


def test_what_the_example_of_env_names_is_read() -> None:
    example = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))

    assert named - {"COMPOSE_PROFILES"} == variables()


def test_containers_start_with_the_secrets_of_their_service() -> None:
    for service in SERVICES:
        for container in containers_of(service).values():
            script = unescaped(container["entrypoint"][2])
            assert script.startswith("set -a && . /keys/environment && set +a && exec ")
            assert script.endswith('python -m services.$SERVICE "$@"')


def _words(configuration: str) -> list[str]:
    lines = [line for line in configuration.splitlines() if not line.lstrip().startswith("#")]
    return " ".join(lines).split()
