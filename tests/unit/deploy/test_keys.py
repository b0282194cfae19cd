import os
import subprocess
from pathlib import Path

import pytest

from deploy.compose.keys import Keys
from deploy.roles import SERVICES, role_statements, roles_of
from libs.sealing.key_file import read_key_file
from libs.web.api_keys import digest_of
from libs.web.identity import load_identity

OF_SERVERS = ("valkey/password", "valkey/valkey.conf")


def _files(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    Keys(tmp_path).make()
    before = _files(tmp_path)

    Keys(tmp_path).make()

    assert _files(tmp_path) == before
    assert not [name for name in before if "draft" in name]


def test_what_was_not_finished_is_finished(tmp_path: Path) -> None:
    Keys(tmp_path).make()
    before = _files(tmp_path)
    for name in ("policy/keys", "recovery/environment", "enrollment/identities.json"):
        (tmp_path / name).unlink()
    (tmp_path / "policy/keys.draft").write_text("half")

    Keys(tmp_path).make()

    after = _files(tmp_path)
    assert after.keys() == before.keys()
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"policy/keys"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_can_read_its_keys_and_knows_the_others(tmp_path: Path, service: str) -> None:
    Keys(tmp_path).make()

    read_key_file(tmp_path / service / "keys")
    identity = load_identity(
        service,
        private_key=(tmp_path / service / "identity.json").read_text(),
        public_keys=(tmp_path / service / "identities.json").read_text(),
    )
    assert set(identity.public_keys) == set(SERVICES)
    assert '"d"' not in (tmp_path / service / "identities.json").read_text()


def test_only_the_owner_reads_what_services_have(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Keys(tmp_path).make()
    finally:
        os.umask(before)

    for name in _files(tmp_path):
        mode = (tmp_path / name).stat().st_mode & 0o777
        assert mode == (0o644 if name in OF_SERVERS else 0o600), name


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_files_are_given_to_the_user_of_the_containers(tmp_path: Path) -> None:
    Keys(tmp_path, owner=65534).make()

    assert {(tmp_path / name).stat().st_uid for name in _files(tmp_path)} == {65534}


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_gets_a_password_or_key_of_another(tmp_path: Path, service: str) -> None:
    keys = Keys(tmp_path)
    keys.make()
    foreign = {
        password
        for other in SERVICES
        if other != service
        for password in keys.passwords(other).values()
    }

    own = [text for name, text in _files(tmp_path).items() if name.startswith(f"{service}/")]

    assert not any(password in text for password in foreign for text in own)
    assert not any(keys.read("operator/key") in text for text in own)


@pytest.mark.parametrize("service", SERVICES)
def test_the_environment_is_read_by_a_shell(tmp_path: Path, service: str) -> None:
    keys = Keys(tmp_path)
    keys.make()

    done = subprocess.run(
        ["sh", "-c", f"set -a && . {tmp_path}/{service}/environment && env"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )

    got = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert keys.environment(service).items() <= got.items()


def test_passwords_are_what_the_roles_take(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    keys.make()

    for service in SERVICES:
        assert keys.passwords(service).keys() == set(roles_of(service))
        assert role_statements(service, keys.passwords(service))


def test_policy_knows_the_digest_of_the_operators_key(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    keys.make()

    environment = keys.environment("policy")

    digest = digest_of(keys.read("operator/key"))
    assert environment["WATCHWORD_POLICY_OPERATOR_KEY_DIGEST"] == digest
