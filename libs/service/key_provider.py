"""Who wraps this process's data keys, by its settings."""

from functools import partial
from pathlib import Path

import httpx2

from libs.sealing.key_file import FileProvider, read_key_file
from libs.sealing.providers import KeyProvider, MovingProviders
from libs.sealing.vault_transit import TransitKey, VaultTransit
from libs.service.settings import ServiceSettings


def key_provider(settings: ServiceSettings, http: httpx2.AsyncClient) -> KeyProvider:
    """Return the provider; a key file that cannot be used ends the start, a Vault that is away not.

    Both together: the one that `wrap_with` does not name opens what it wrapped before.
    """
    providers: list[KeyProvider] = []
    if settings.key_file is not None:
        providers.append(_file(settings.key_file))
    if settings.vault_url and settings.vault_key and settings.vault_token_file:
        at = TransitKey(
            url=settings.vault_url,
            mount=settings.vault_mount,
            key=settings.vault_key,
            token_file=settings.vault_token_file,
        )
        providers.append(VaultTransit(http, at))
    if len(providers) == 1:
        return providers[0]
    wraps = next(one for one in providers if one.name == settings.wrap_with)
    return MovingProviders(wraps, providers)


def _file(path: Path) -> FileProvider:
    read_key_file(path)
    return FileProvider(partial(read_key_file, path))
