from pathlib import Path

import httpx2
import pytest
from pydantic import ValidationError

from libs.sealing.key_file import FileProvider, KeyFile, UnsafeKeyFile, write_key_file
from libs.service.key_provider import key_provider
from libs.service.settings import ServiceSettings
from tests.fixtures.vault import TOKEN, SimulatedVault

VAULT = {
    "vault_url": "https://vault.test",
    "vault_key": "watchword",
    "vault_token_file": "/vault/token",
}
FILE = {"key_file": "/keys/keys"}


def settings(**given: object) -> ServiceSettings:
    """Return settings with nothing said about keys but this."""
    others = {
        **dict.fromkeys(("app_dsn", "worker_dsn", "owner_dsn"), "postgresql://x"),
        **dict.fromkeys(("identity_key_file", "identity_public_keys_file"), "x"),
        **dict.fromkeys(("port", "internal_port"), 1),
        "kafka_bootstrap": "x",
    }
    return ServiceSettings.model_validate(others | given)


@pytest.mark.parametrize(
    "given",
    [
        FILE,
        VAULT,
        FILE | VAULT | {"wrap_with": "vault"},
        FILE | VAULT | {"wrap_with": "file"},
        FILE | {"wrap_with": "file"},
    ],
)
def test_takes_a_provider_or_two_of_which_one_wraps(given: dict[str, object]) -> None:
    assert settings(**given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "who wraps the keys"),
        (FILE | VAULT, "wrap_with must say"),
        (FILE | {"wrap_with": "vault"}, "not set up"),
        (FILE | {"wrap_with": "aws"}, "wrap_with"),
        ({"vault_url": "https://vault.test"}, "belong together"),
        (FILE | {"vault_key": "watchword"}, "belong together"),
        (VAULT | {"vault_url": "vault.test"}, "vault_url"),
        (VAULT | {"vault_url": "https://vault.test/v1"}, "vault_url"),
    ],
)
def test_says_what_is_wrong_with_settings_of_keys(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(**given)


@pytest.mark.parametrize("wraps", ["file", "vault"])
async def test_of_two_providers_the_named_one_wraps_and_both_open(
    tmp_path: Path, wraps: str
) -> None:
    write_key_file(tmp_path / "keys")
    (tmp_path / "token").write_text(TOKEN)
    files = {"key_file": tmp_path / "keys", "vault_token_file": tmp_path / "token"}
    async with httpx2.AsyncClient(transport=SimulatedVault()) as http:
        alone = [
            key_provider(settings(key_file=files["key_file"]), http),
            key_provider(
                settings(**(VAULT | {"vault_token_file": files["vault_token_file"]})), http
            ),
        ]

        both = key_provider(settings(**(VAULT | files | {"wrap_with": wraps})), http)

        assert (await both.wrap(b"d" * 32, place=("a",))).provider == wraps
        for one in alone:
            wrapped = await one.wrap(b"d" * 32, place=("a",))
            assert await both.unwrap(wrapped, place=("a",)) == b"d" * 32


async def test_a_key_file_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    write_key_file(file)
    file.chmod(0o644)

    async with httpx2.AsyncClient() as http:
        with pytest.raises(UnsafeKeyFile):
            key_provider(settings(key_file=file), http)


async def test_a_key_file_in_memory_is_a_provider_of_its_own() -> None:
    provider = FileProvider(lambda: KeyFile({3: b"k" * 32}))

    assert await provider.newest_version() == 3
