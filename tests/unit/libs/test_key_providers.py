import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx2
import pytest

from libs.sealing.key_file import FileProvider, KeyFile, add_key, read_key_file, write_key_file
from libs.sealing.providers import MovingProviders, Wrapped
from libs.sealing.trouble import KeyRefused, KeysUnavailable
from libs.sealing.vault_transit import TransitKey, VaultTransit
from tests.fixtures.vault import TOKEN, SimulatedVault

KEY, PLACE = b"d" * 32, ("data key", "tenant", "credential", "1")


@dataclass(frozen=True)
class Transit:
    vault: SimulatedVault
    token_file: Path
    provider: VaultTransit


@pytest.fixture
async def transit(tmp_path: Path) -> AsyncIterator[Transit]:
    vault, token_file = SimulatedVault(), tmp_path / "token"
    token_file.write_text(f"{TOKEN}\n")
    at = TransitKey("https://vault.test", "transit", "watchword", token_file)
    async with httpx2.AsyncClient(transport=vault) as http:
        yield Transit(vault, token_file, VaultTransit(http, at, timeout=timedelta(seconds=0.2)))


async def test_vault_wraps_for_one_place_and_says_under_which_version(transit: Transit) -> None:
    transit.vault.rotate()

    wrapped = await transit.provider.wrap(KEY, place=PLACE)

    assert (wrapped.provider, wrapped.version) == ("vault", 2)
    assert KEY not in wrapped.value
    assert await transit.provider.unwrap(wrapped, place=PLACE) == KEY
    with pytest.raises(KeyRefused):
        await transit.provider.unwrap(wrapped, place=PLACE[:-1])


async def test_vault_opens_what_an_earlier_version_wrapped(transit: Transit) -> None:
    wrapped = await transit.provider.wrap(KEY, place=PLACE)
    transit.vault.rotate()

    assert await transit.provider.newest_version() == 2
    assert await transit.provider.unwrap(wrapped, place=PLACE) == KEY


@pytest.mark.fault("R28")
async def test_a_version_that_vault_opens_no_more_is_refused(transit: Transit) -> None:
    wrapped = await transit.provider.wrap(KEY, place=PLACE)
    transit.vault.rotate()
    transit.vault.min_decryption_version = 2

    with pytest.raises(KeyRefused, match="400"):
        await transit.provider.unwrap(wrapped, place=PLACE)


@pytest.mark.fault("R28")
@pytest.mark.parametrize("fault", ["down", "sealed", "slow", "no token"])
async def test_a_vault_that_is_away_is_told_from_one_that_refuses(
    transit: Transit, fault: str
) -> None:
    wrapped = await transit.provider.wrap(KEY, place=PLACE)
    match fault:
        case "down":
            transit.vault.down = True
        case "sealed":
            transit.vault.sealed = True
        case "slow":
            transit.vault.slow = asyncio.Event()
        case _:
            transit.token_file.unlink()

    for call in (
        transit.provider.unwrap(wrapped, place=PLACE),
        transit.provider.wrap(KEY, place=PLACE),
        transit.provider.newest_version(),
    ):
        with pytest.raises(KeysUnavailable):
            await call


@pytest.mark.fault("R28")
async def test_a_token_that_vault_does_not_know_is_refused(transit: Transit) -> None:
    transit.token_file.write_text("s.other")

    with pytest.raises(KeyRefused, match="403"):
        await transit.provider.wrap(KEY, place=PLACE)


async def test_the_token_is_read_anew_for_each_call(transit: Transit) -> None:
    transit.token_file.write_text("s.old")
    with pytest.raises(KeyRefused):
        await transit.provider.newest_version()

    transit.token_file.write_text(TOKEN)

    assert await transit.provider.newest_version() == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"data": null}',
        b'{"data": {"ciphertext": "plain"}}',
        b'{"data": {"ciphertext": "vault:v0:AA=="}}',
    ],
)
async def test_what_is_no_answer_of_vault_wraps_nothing(tmp_path: Path, answer: bytes) -> None:
    def answered(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=answer)

    (tmp_path / "token").write_text(TOKEN)
    at = TransitKey("https://vault.test", "transit", "watchword", tmp_path / "token")
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answered)) as http:
        with pytest.raises(KeysUnavailable):
            await VaultTransit(http, at).wrap(KEY, place=PLACE)


async def test_no_error_of_vault_tells_what_was_asked(transit: Transit) -> None:
    transit.vault.refusing = True

    with pytest.raises(KeyRefused) as caught:
        await transit.provider.wrap(KEY, place=PLACE)

    assert TOKEN not in str(caught.value)
    assert "ZGRk" not in str(caught.value)


async def test_a_line_that_is_added_to_the_file_wraps_from_then_on(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    write_key_file(file)
    provider = FileProvider(partial(read_key_file, file))
    first = await provider.wrap(KEY, place=PLACE)

    assert add_key(file) == 2

    second = await provider.wrap(KEY, place=PLACE)
    assert (first.version, second.version, await provider.newest_version()) == (1, 2, 2)
    for wrapped in (first, second):
        assert await provider.unwrap(wrapped, place=PLACE) == KEY
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.fault("R28")
async def test_a_version_that_is_not_in_the_file_is_refused() -> None:
    wrapped = await FileProvider(lambda: KeyFile({1: b"a" * 32})).wrap(KEY, place=PLACE)

    for keys in (KeyFile({2: b"a" * 32}), KeyFile({1: b"b" * 32})):
        with pytest.raises(KeyRefused):
            await FileProvider(partial(_same, keys)).unwrap(wrapped, place=PLACE)


@pytest.mark.fault("R28")
async def test_a_file_that_is_gone_is_away_and_one_that_others_may_read_is_refused(
    tmp_path: Path,
) -> None:
    file = tmp_path / "keys"
    write_key_file(file)
    provider = FileProvider(partial(read_key_file, file))

    file.chmod(0o644)
    with pytest.raises(KeyRefused):
        await provider.newest_version()
    file.unlink()
    with pytest.raises(KeysUnavailable):
        await provider.newest_version()


async def test_one_can_move_from_the_file_to_vault(transit: Transit) -> None:
    file = FileProvider(lambda: KeyFile({1: b"a" * 32}))
    before = await file.wrap(KEY, place=PLACE)
    moving = MovingProviders(transit.provider, [file])

    after = await moving.wrap(await moving.unwrap(before, place=PLACE), place=PLACE)

    assert (moving.name, after.provider) == ("vault", "vault")
    assert await transit.provider.unwrap(after, place=PLACE) == KEY
    with pytest.raises(KeyRefused, match="file"):
        await transit.provider.unwrap(before, place=PLACE)
    with pytest.raises(KeyRefused, match="other"):
        await moving.unwrap(Wrapped("other", 1, b""), place=PLACE)


def _same(keys: KeyFile) -> KeyFile:
    return keys
