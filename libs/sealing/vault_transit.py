"""The key-encryption key in Vault or OpenBao: the transit engine, whose keys never leave it.

The token needs `update` on `<mount>/encrypt/<key>` and `<mount>/decrypt/<key>`, and `read` on
`<mount>/keys/<key>`. Not `create`: Vault would then make a key where the name is misspelt.
"""

import asyncio
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx2

from libs.sealing.providers import Wrapped, refuse_foreign
from libs.sealing.seal import KEY_LENGTH, bound
from libs.sealing.trouble import KeyRefused, KeysUnavailable

_FORM = re.compile(r"vault:v([1-9][0-9]*):[A-Za-z0-9+/=]+")
# 412: not there yet on a replica; 429: too many at once; 472, 473: a standby. All may work soon.
_LATER = (412, 429, 472, 473)


@dataclass(frozen=True)
class TransitKey:
    """Where the key is, and in which file the token; the file is read anew for each call."""

    url: str
    mount: str
    key: str
    token_file: Path


class VaultTransit:
    """Wraps and unwraps data keys by calls to Vault."""

    name = "vault"

    def __init__(
        self,
        http: httpx2.AsyncClient,
        transit: TransitKey,
        *,
        timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        self._http = http
        self._transit = transit
        self._timeout = timeout

    async def newest_version(self) -> int:
        """Return the version that Vault wraps with."""
        match (await self._ask("keys", None)).get("latest_version"):
            case int(version):
                return version
        raise KeysUnavailable("Vault: no version of the key")

    async def wrap(self, key: bytes, *, place: Sequence[str]) -> Wrapped:
        """Return the key, wrapped under Vault's newest version."""
        answer = await self._ask("encrypt", {"plaintext": _text(key)} | _bound_to(place))
        ciphertext = str(answer.get("ciphertext"))
        form = _FORM.fullmatch(ciphertext)
        if form is None:
            raise KeysUnavailable("Vault: not a ciphertext")
        return Wrapped(self.name, int(form[1]), ciphertext.encode())

    async def unwrap(self, wrapped: Wrapped, *, place: Sequence[str]) -> bytes:
        """Return the key; raises KeyRefused for versions below `min_decryption_version`, too."""
        refuse_foreign(wrapped, self.name)
        asked = {"ciphertext": wrapped.value.decode()} | _bound_to(place)
        try:
            key = b64decode(str((await self._ask("decrypt", asked)).get("plaintext")))
        except ValueError:
            raise KeysUnavailable("Vault: not a plaintext") from None
        if len(key) != KEY_LENGTH:
            raise KeyRefused("Vault: not a data key")
        return key

    async def _ask(self, what: str, body: Mapping[str, str] | None) -> dict[str, object]:
        at = self._transit
        method = "GET" if body is None else "POST"
        address = f"{at.url.rstrip('/')}/v1/{at.mount}/{what}/{at.key}"
        try:
            headers = {
                "X-Vault-Token": at.token_file.read_text().strip(),
                "X-Vault-Request": "true",
            }
            # Over all: the client's own limit is for each step.
            async with asyncio.timeout(self._timeout.total_seconds()):
                response = await self._http.request(
                    method, address, json=body, headers=headers, timeout=None
                )
        except (httpx2.HTTPError, OSError) as error:
            raise KeysUnavailable(f"Vault: {type(error).__name__}") from None
        return _data_of(response)


def _data_of(response: httpx2.Response) -> dict[str, object]:
    status = response.status_code
    if status >= 500 or status in _LATER:
        raise KeysUnavailable(f"Vault: {status}")
    if status >= 400:
        raise KeyRefused(f"Vault: {status}")
    try:
        data = response.json()["data"]
    except (ValueError, KeyError, TypeError):
        raise KeysUnavailable("Vault: unreadable answer") from None
    if not isinstance(data, dict):
        raise KeysUnavailable("Vault: unreadable answer")
    return data


def _bound_to(place: Sequence[str]) -> dict[str, str]:
    return {"associated_data": _text(bound(place))}


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()
