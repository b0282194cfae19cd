"""The front door, as a command asks it: many requests over one connection, tried again."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx2
import typer

Url = Annotated[str, typer.Option(envvar="WATCHWORD", help="The front door.")]
KeyFile = Annotated[Path | None, typer.Option(help="A file with a key; else $MANAGE is taken.")]

_SECONDS = 30
# A restart of a service takes less.
_TRIES = 6
_LONGEST_WAIT = 10.0


class NotAnsweredError(Exception):
    """The front door does not answer, or says no; the text is for people, `code` for programs."""

    def __init__(self, text: str, code: str | None = None) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class FrontDoor:
    """Asks with the key of a tenant."""

    http: httpx2.Client

    def ask(
        self, method: str, path: str, *, body: object = None, content: bytes | None = None
    ) -> dict[str, Any]:
        """Return what is answered; what may be asked again is, for a while."""
        headers = {} if content is None else {"Content-Type": "text/plain; charset=utf-8"}
        for number in range(_TRIES):
            last = number == _TRIES - 1
            try:
                answer = self.http.request(
                    method, path, json=body, content=content, headers=headers
                )
            except httpx2.HTTPError as error:
                if last:
                    raise self._silent(error) from None
            else:
                if answer.status_code != 503 or last:
                    return _content_of(answer)
            time.sleep(min(_LONGEST_WAIT, 0.2 * 2**number))
        raise AssertionError("the last try answers or raises")

    def events(self, path: str, body: object) -> Iterator[dict[str, Any]]:
        """Yield what is said while the answer is being made; the last one is the answer."""
        headers = {"Accept": "text/event-stream"}
        try:
            with self.http.stream("POST", path, json=body, headers=headers) as answer:
                if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                    answer.read()
                    _content_of(answer)
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        yield json.loads(line.removeprefix("data: "))
        except httpx2.HTTPError as error:
            raise self._silent(error) from None

    def _silent(self, error: Exception) -> NotAnsweredError:
        return NotAnsweredError(f"{self.http.base_url} does not answer: {type(error).__name__}")


@contextmanager
def front_door(url: str, key_file: Path | None) -> Iterator[FrontDoor]:
    """Open the front door; raises NotAnsweredError where there is no key."""
    try:
        key = key_file.read_text().strip() if key_file is not None else os.environ.get("MANAGE")
    except (OSError, UnicodeDecodeError) as error:
        raise NotAnsweredError(f"{key_file}: {type(error).__name__}") from None
    if not key:
        raise NotAnsweredError("a key is needed: --key-file, or $MANAGE")
    headers = {"Authorization": f"Bearer {key}"}
    # What is on this machine is not asked through a proxy: it would see the key.
    with httpx2.Client(
        base_url=url, headers=headers, timeout=_SECONDS, trust_env=not _is_here(url)
    ) as http:
        yield FrontDoor(http)


def _content_of(answer: httpx2.Response) -> dict[str, Any]:
    try:
        content: object = answer.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise NotAnsweredError("what answers there is not Watchword")
    if answer.is_error:
        words = [str(content.get("title")), *(content.get("errors") or [])]
        raise NotAnsweredError("\n".join(words), str(content.get("code")))
    return content


def _is_here(url: str) -> bool:
    try:
        return urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")
    except ValueError:
        # The client says what is wrong with it.
        return False
