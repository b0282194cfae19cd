"""Attacks on `watchword rules`: in scripts its exit code is the answer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner, Result

from watchword import rules

_FILE = "rules:\n  - {name: all, requirement: off}\n"
_WHERE = ("--url", "http://front.door")
Answer = Callable[..., httpx2.Response]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MANAGE", "a key")
    monkeypatch.setattr(
        httpx2.Client, "request", _answer({"changes": [], "in_force": 1, "lockouts": []})
    )
    place = tmp_path / "rules.yaml"
    place.write_text(_FILE)
    return place


def _answer(content: object) -> Answer:
    return lambda *_, **__: httpx2.Response(200, json=content)


def _run(*words: str, said: str | None = None) -> Result:
    return CliRunner().invoke(rules.app, words, input=said)


def test_that_nothing_would_change_ends_with_0(file: Path) -> None:
    assert _run("diff", str(file), *_WHERE).exit_code == 0


def test_a_key_file_that_is_not_there_is_no_difference(file: Path) -> None:
    assert _run("diff", str(file), *_WHERE, "--key-file", f"{file}.none").exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("rules: !!set {a, b}", id="set"),
        pytest.param("time_zone: !!timestamp 2027-01-01", id="timestamp"),
        pytest.param("rules: !!map words", id="no map"),
        pytest.param("rules: !!int words", id="no number"),
        pytest.param(f"rules: {'9' * 5000}", id="long number"),
        pytest.param("[" * 5000, id="deep"),
    ],
)
def test_a_file_that_cannot_be_sent_is_no_difference(
    file: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("MANAGE", "a key")
    file.write_text(text)

    assert _run("diff", str(file), "--url", "http://127.0.0.1:9").exit_code == 2


@pytest.mark.parametrize("content", [[], "words", {"status": "up"}])
def test_an_answer_of_somebody_else_is_no_difference(
    file: Path, content: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpx2.Client, "request", _answer(content))

    assert _run("diff", str(file), *_WHERE).exit_code == 2


def test_an_address_that_is_none_is_no_difference(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("MANAGE", "a key")

    assert _run("diff", str(file), "--url", "http://[").exit_code == 2


def test_what_was_shown_is_what_comes_into_force(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []

    def request(_http: object, _method: str, url: str, *, json: Any, **_: Any) -> httpx2.Response:
        sent.append(json.get("rules"))
        if url.endswith("/comparison"):
            file.write_text(_FILE.replace("all", "others"))
            return httpx2.Response(200, json={"changes": ["+ all"], "in_force": 1, "lockouts": []})
        return httpx2.Response(200, json={"version": 2, "digest": "5e" * 32})

    monkeypatch.setattr(httpx2.Client, "request", request)
    applied = _run("apply", str(file), *_WHERE, "--reason", "Agreed", said="y\n")

    assert applied.exit_code == 0
    assert sent[0] == sent[1]


def test_publish_replaces_nothing_unseen(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[Any] = []

    def request(
        _http: object, _method: str, url: str, *, json: Any = None, **_: Any
    ) -> httpx2.Response:
        if url.endswith("/publication"):
            published.append(json)
        said = {"changes": ["- all"], "in_force": 7, "lockouts": [], "digest": "5e" * 32}
        return httpx2.Response(200, json=said)

    monkeypatch.setattr(httpx2.Client, "request", request)
    refused = _run("publish", "1", *_WHERE, "--reason", "Back", said="n\n")
    assert published == []
    agreed = _run("publish", "1", *_WHERE, "--reason", "Back", said="y\n")

    assert all("- all" in answer.output for answer in (refused, agreed))
    assert [one["replaces"] for one in published] == [7]
