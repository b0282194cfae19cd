"""watchword subjects: bring a tenant's subjects in from a file, and write them to one."""

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from watchword.front_door import FrontDoor, KeyFile, NotAnsweredError, Url, front_door
from watchword.imports import progress_on, refused_rows, worked
from watchword.parts import UncutFileError, digest_of, parts_of

app = typer.Typer(help="A tenant's subjects, as files.", no_args_is_help=True)
_OUT, _ERROR = Console(highlight=False), Console(stderr=True, highlight=False)
_PATH = "/v1/imports"
_PAGE = 200
_WRITTEN = ("subject", "email", "label", "user_type", "groups", "language")


class Kind(StrEnum):
    """How a file is written."""

    CSV = "csv"
    JSON_LINES = "jsonl"


_KINDS = {".csv": Kind.CSV, ".jsonl": Kind.JSON_LINES, ".ndjson": Kind.JSON_LINES}


@app.command("import")
def import_subjects(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or JSON lines.")],
    url: Url,
    dry_run: Annotated[bool, typer.Option(help="Only say what would happen.")] = False,
    kind: Annotated[Kind | None, typer.Option("--format", help="Else by the file's name.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Where to write which rows were refused, and why.")
    ] = None,
    key_file: KeyFile = None,
) -> None:
    """Bring subjects in: new ones are made, those that are there changed; 1 if rows were refused.

    Columns: subject, email, label, user_type, groups (in CSV with ; between them), language. One
    that is absent leaves what is there as it is.

    After Ctrl-C the same command goes on where it stopped.
    """
    chosen = kind or _kind_of(file)
    try:
        with front_door(url, key_file) as door:
            found = _sent(door, file, chosen, dry_run=dry_run)
            found = worked(door, _PATH, found, console=_ERROR)
            if report is not None:
                _write_report(door, found["import_id"], report)
    except (NotAnsweredError, UncutFileError) as error:
        _fail(f"{file}: {error}")
    except KeyboardInterrupt:
        _ERROR.print("stopped; the same command goes on from here")
        raise typer.Exit(130) from None
    _summarise(found)
    raise typer.Exit(1 if found["counts"]["refused"] or found["state"] != "finished" else 0)


@app.command("export")
def export_subjects(url: Url, key_file: KeyFile = None) -> None:
    """Write all subjects as JSON lines to the standard output, as `import` reads them."""
    try:
        with front_door(url, key_file) as door:
            for one in _all_subjects(door):
                said = {name: one[name] for name in _WRITTEN}
                typer.echo(json.dumps(said, ensure_ascii=False))
    except NotAnsweredError as error:
        _fail(str(error))


def _sent(door: FrontDoor, file: Path, kind: Kind, *, dry_run: bool) -> dict[str, Any]:
    body = {"format": kind.value, "dry_run": dry_run, "digest": digest_of(file)}
    found = door.ask("POST", _PATH, body=body)
    about = f"{_PATH}/{found['import_id']}"
    if found["parts"]:
        _OUT.print(f"going on with an import of this file, after part {found['parts']}")
    if found["state"] != "receiving":
        return found
    with progress_on(_ERROR) as progress:
        task = progress.add_task("sending", total=file.stat().st_size)
        for number, part in enumerate(parts_of(file, kind), start=1):
            if number > found["parts"]:
                door.ask("PUT", f"{about}/parts/{number}", content=part)
            progress.advance(task, len(part))
    return door.ask("POST", f"{about}/start")


def _summarise(found: dict[str, Any]) -> None:
    counts, would = found["counts"], "would be " if found["dry_run"] else ""
    _OUT.print(f"import {found['import_id']}: {found['state']}, {counts['received']} rows")
    for outcome in ("created", "updated", "unchanged", "refused"):
        _OUT.print(f"  {would}{outcome}: {counts[outcome]}")


def _write_report(door: FrontDoor, import_id: str, report: Path) -> None:
    with report.open("w", encoding="utf-8") as opened:
        for row in refused_rows(door, _PATH, import_id):
            said = {"row": row["row"], "errors": row["errors"]}
            opened.write(json.dumps(said, ensure_ascii=False) + "\n")


def _all_subjects(door: FrontDoor) -> Iterator[dict[str, Any]]:
    cursor: str | None = ""
    while cursor is not None:
        page = door.ask("GET", f"/v1/subjects?limit={_PAGE}{cursor}")
        yield from page["subjects"]
        following = page["next_cursor"]
        cursor = f"&cursor={following}" if following is not None else None


def _kind_of(file: Path) -> Kind:
    kind = _KINDS.get(file.suffix.lower())
    if kind is None:
        _fail(f"{file}: --format says whether it is csv or jsonl")
    return kind


def _fail(words: str) -> NoReturn:
    _ERROR.print(words, markup=False, soft_wrap=True)
    raise typer.Exit(2)
