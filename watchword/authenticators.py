"""watchword authenticators: bring tokens and other systems' authenticators in from a file."""

import hashlib
import io
import json
from base64 import b64decode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NoReturn
from urllib.parse import urlsplit

import typer
from rich.console import Console

from watchword.front_door import FrontDoor, KeyFile, NotAnsweredError, Url, front_door
from watchword.imports import progress_on, refused_rows, worked
from watchword.token_files.pictures import PNG, codes_of
from watchword.token_files.pskc_keys import Unlocking
from watchword.token_files.reading import TokenFile, kind_of, read_tokens
from watchword.token_files.rows import Owners, parts_of, read_owners, row_of
from watchword.token_files.tokens import TokenFileError

app = typer.Typer(help="A tenant's authenticators, from files.", no_args_is_help=True)
_OUT, _ERROR = Console(highlight=False), Console(stderr=True, highlight=False)
_PATH = "/v1/authenticator-imports"
_KEY_LENGTHS = (16, 24, 32)
_HERE = ("localhost", "127.0.0.1", "::1")
_LARGEST_FILE = 200 * 1024 * 1024

Given = Annotated[Path | None, typer.Option(exists=True, dir_okay=False)]


@dataclass(frozen=True)
class _Rows:
    """All rows of a file, in memory only, and why some of them cannot be used."""

    lines: list[bytes] = field(default_factory=list, repr=False)
    reasons: dict[int, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Return by what an import of the same rows is found again."""
        return hashlib.sha256(b"".join(self.lines)).hexdigest()


@app.callback()
def authenticators() -> None:
    """Keep `import` a command of its own."""


@app.command("import")
def import_authenticators(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    url: Url,
    kind: Annotated[
        TokenFile | None, typer.Option("--format", help="Else by the file's content.")
    ] = None,
    pskc_key_file: Given = None,
    passphrase_file: Given = None,
    allow_plain: Annotated[bool, typer.Option(help="PSKC: take secrets in clear.")] = False,
    subjects: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="CSV: serial or account, subject."),
    ] = None,
    accounts_are_subjects: Annotated[
        bool, typer.Option(help="otpauth, google: the account is the subject.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Only say what would happen.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Where to write which rows were refused, and why.")
    ] = None,
    allow_http: Annotated[bool, typer.Option(help="Send secrets without TLS.")] = False,
    key_file: KeyFile = None,
) -> None:
    """Bring authenticators in; 1 if rows were refused.

    Formats: pskc (RFC 6030), oath-csv, otpauth (a list of URIs), google (its export),
    or a PNG of QR codes. What has a subject is that person's at once, else it goes into the stock.

    Secrets are kept in memory only. After Ctrl-C the same command goes on where it stopped.
    """
    try:
        _over_tls(url, allow_http=allow_http)
        unlocking = Unlocking(_key_of(pskc_key_file), _passphrase_of(passphrase_file))
        names = read_owners(subjects) if subjects is not None else {}
        owners = Owners(names, accounts_are_subjects)
        rows = _read(file, kind, unlocking, owners, allow_plain=allow_plain)
        with front_door(url, key_file) as door:
            found = _sent(door, rows, dry_run=dry_run)
            found = worked(door, _PATH, found, console=_ERROR)
            if report is not None:
                _write_report(door, found["import_id"], report, rows)
    except (NotAnsweredError, TokenFileError, OSError) as error:
        _fail(f"{file}: {error}")
    except KeyboardInterrupt:
        _ERROR.print("stopped; the same command goes on from here")
        raise typer.Exit(130) from None
    _summarise(found)
    raise typer.Exit(1 if found["counts"]["refused"] or found["state"] != "finished" else 0)


def _read(
    file: Path, kind: TokenFile | None, unlocking: Unlocking, owners: Owners, *, allow_plain: bool
) -> _Rows:
    rows = _Rows()
    if file.stat().st_size > _LARGEST_FILE:
        raise TokenFileError("larger than 200 MB: import it in pieces")
    with file.open("rb") as opened:
        content = _content_of(opened)
        chosen = kind or kind_of(content)
        for read in read_tokens(content, chosen, unlocking, allow_plain=allow_plain):
            rows.lines.append(row_of(read, owners))
            if read.reason is not None:
                rows.reasons[read.row] = read.reason
    return rows


def _content_of(file: BinaryIO) -> BinaryIO:
    picture = file.read(len(PNG)) == PNG
    file.seek(0)
    return io.BytesIO(codes_of(file.read())) if picture else file


def _sent(door: FrontDoor, rows: _Rows, *, dry_run: bool) -> dict[str, Any]:
    body = {"dry_run": dry_run, "rows": len(rows.lines), "digest": rows.digest}
    found = door.ask("POST", _PATH, body=body)
    about = f"{_PATH}/{found['import_id']}"
    if found["parts"]:
        _OUT.print(f"going on with an import of these rows, after part {found['parts']}")
    if found["state"] != "receiving":
        return found
    with progress_on(_ERROR) as progress:
        task = progress.add_task("sending", total=sum(map(len, rows.lines)))
        for number, part in enumerate(parts_of(rows.lines), start=1):
            if number > found["parts"]:
                door.ask("PUT", f"{about}/parts/{number}", content=part)
            progress.advance(task, len(part))
    return door.ask("POST", f"{about}/start")


def _write_report(door: FrontDoor, import_id: str, report: Path, rows: _Rows) -> None:
    with report.open("w", encoding="utf-8") as opened:
        for row in refused_rows(door, _PATH, import_id):
            ours = rows.reasons.get(row["row"])
            said = {"row": row["row"], "errors": row["errors"] if ours is None else [ours]}
            opened.write(json.dumps(said, ensure_ascii=False) + "\n")


def _summarise(found: dict[str, Any]) -> None:
    counts, would = found["counts"], "would be " if found["dry_run"] else ""
    _OUT.print(f"import {found['import_id']}: {found['state']}, {counts['received']} rows")
    for outcome in ("enrolled", "stocked", "unchanged", "refused"):
        _OUT.print(f"  {would}{outcome}: {counts[outcome]}")


def _key_of(file: Path | None) -> bytes | None:
    """Return a pre-shared key: the bytes themselves, or in hexadecimal, or in base64."""
    if file is None:
        return None
    content = file.read_bytes()
    for read in (_hexadecimal, _base64, bytes):
        key = read(content)
        if len(key) in _KEY_LENGTHS:
            return key
    raise TokenFileError(f"{file}: not an AES key of 16, 24 or 32 bytes, in hexadecimal or base64")


def _hexadecimal(content: bytes) -> bytes:
    try:
        return bytes.fromhex(content.decode("ascii"))
    except ValueError:
        return b""


def _base64(content: bytes) -> bytes:
    try:
        return b64decode(content.strip(), validate=True)
    except ValueError:
        return b""


def _passphrase_of(file: Path | None) -> bytes | None:
    return file.read_bytes().rstrip(b"\r\n") if file is not None else None


def _over_tls(url: str, *, allow_http: bool) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _HERE and not allow_http:
        raise TokenFileError("secrets are sent over https only (else --allow-http)")


def _fail(words: str) -> NoReturn:
    _ERROR.print(words, markup=False, soft_wrap=True)
    raise typer.Exit(2)
