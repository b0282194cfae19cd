"""`watchword authenticators import`: tokens, and what another system had, on a running system."""

import asyncio
import hashlib
import io
import json
import os
import secrets
import signal
import time
from base64 import b32encode, b64encode
from pathlib import Path

import asyncpg
import pskc
import pyotp
import pytest

from tests.e2e.people import Person, Tenancy
from tests.e2e.test_canaries import files
from tests.e2e.test_command_line import WATCHWORD, Said
from watchword.token_files.pskc_keys import Unlocking
from watchword.token_files.reading import TokenFile, read_tokens
from watchword.token_files.rows import Owners, row_of

pytestmark = pytest.mark.xdist_group("e2e")

_KEY = secrets.token_bytes(16)


async def _started(tenancy: Tenancy, file: Path, *arguments: str) -> asyncio.subprocess.Process:
    around = {**os.environ, "WATCHWORD": tenancy.system.url, "MANAGE": tenancy.manage_key}
    return await asyncio.create_subprocess_exec(
        *(WATCHWORD, "authenticators", "import", str(file), *arguments),
        env=around,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _import(tenancy: Tenancy, file: Path, *arguments: str) -> Said:
    process = await _started(tenancy, file, *arguments)
    out, error = await process.communicate()
    return Said(process.returncode or 0, out.decode(), error.decode())


def _pskc(*keys: dict[str, str | bytes | int]) -> bytes:
    made = pskc.PSKC()
    for number, key in enumerate(keys):
        said: dict[str, str | bytes | int] = {
            "response_length": 6,
            "response_encoding": "DECIMAL",
            **key,
        }
        profile = f"urn:ietf:params:xml:ns:keyprov:pskc:{said.pop('kind')!s}"
        made.add_key(id=f"key-{number}", algorithm=profile, **said)
    made.encryption.setup_preshared_key(key=_KEY, fields=["secret", "counter"])
    out = io.BytesIO()
    made.write(out)
    return out.getvalue()


def _files(tmp_path: Path, content: bytes, owners: str = "") -> tuple[Path, list[str]]:
    file, key, subjects = (tmp_path / name for name in ("tokens.xml", "key.hex", "owners.csv"))
    file.write_bytes(content)
    key.write_text(_KEY.hex() + "\n")
    subjects.write_text(owners)
    return file, ["--pskc-key-file", str(key), "--subjects", str(subjects)]


@pytest.mark.requirement("A1")
async def test_people_log_in_with_the_tokens_of_a_mixed_file(
    tenancy: Tenancy, tmp_path: Path
) -> None:
    await tenancy.rules(
        {"name": "codes", "requirement": "required", "factors": ["totp", "hotp"]},
    )
    anna, bob = await tenancy.person(), await tenancy.person()
    time_based, counting = secrets.token_bytes(20), secrets.token_bytes(20)
    report = tmp_path / "refused.jsonl"
    file, arguments = _files(
        tmp_path,
        _pskc(
            {"kind": "totp", "secret": time_based, "serial": "T1", "time_interval": 30},
            {"kind": "hotp", "secret": counting, "serial": "H1", "counter": 7},
            {"kind": "hotp", "secret": secrets.token_bytes(20), "serial": "H2", "counter": 0},
            {"kind": "hotp", "secret": b"too short", "serial": "H3", "counter": 0},
        ),
        f"T1,{anna.name}\nH1,{bob.name}\n",
    )

    dry = await _import(tenancy, file, *arguments, "--dry-run")
    said = await _import(tenancy, file, *arguments, "--report", str(report))
    again = await _import(tenancy, file, *arguments)

    for one, would in ((dry, "would be "), (said, "")):
        assert f"\n  {would}enrolled: 2\n  {would}stocked: 1\n" in one.out, one
    assert (said.code, "\n  refused: 1\n" in said.out) == (1, True), said
    assert "\n  unchanged: 3\n  refused: 1\n" in again.out, again
    assert [json.loads(line) for line in report.read_text().splitlines()] == [
        {
            "row": 4,
            "errors": ["secret: shorter than 128 bits, which is too weak: re-enroll"],
        }
    ]
    await _logs_in_by_time(tenancy, anna, time_based)
    await _logs_in_by_counter(tenancy, bob, counting, first=7)


async def _logs_in_by_time(tenancy: Tenancy, person: Person, secret: bytes) -> None:
    await tenancy.events_of(person, until_type="mfa.credential_claimed")
    person.phone = pyotp.TOTP(b32encode(secret).decode())
    # Codes up to that of the import are spent: the old system may have seen them.
    person.used = int(time.time()) // 30
    code = person.next_code()

    first, again = await tenancy.verify(person, code), await tenancy.verify(person, code)

    assert (first.status_code, again.status_code) == (200, 403), first.text


async def _logs_in_by_counter(
    tenancy: Tenancy, person: Person, secret: bytes, *, first: int
) -> None:
    await tenancy.events_of(person, until_type="mfa.credential_claimed")
    token = pyotp.HOTP(b32encode(secret).decode())

    before = await tenancy.verify(person, token.at(first - 1))
    accepted = await tenancy.verify(person, token.at(first))

    assert (before.status_code, accepted.status_code) == (403, 200), accepted.text


async def test_the_command_says_what_is_wrong_with_a_file_or_its_key(
    tenancy: Tenancy, tmp_path: Path
) -> None:
    file, arguments = _files(
        tmp_path, _pskc({"kind": "hotp", "secret": bytes(20), "serial": "H1", "counter": 0})
    )
    (tmp_path / "other.hex").write_text("00" * 16)
    (tmp_path / "short.hex").write_text("00" * 5)

    keyless = await _import(tenancy, file)
    other = await _import(tenancy, file, "--pskc-key-file", str(tmp_path / "other.hex"))
    short = await _import(tenancy, file, "--pskc-key-file", str(tmp_path / "short.hex"))
    open_line = await _import(tenancy, file, *arguments, "--url", "http://mfa.example.org")

    for said, words in (
        (keyless, "wants its pre-shared key"),
        (other, "the key does not open the file"),
        (short, "not an AES key"),
        (open_line, "over https only"),
    ):
        assert (said.code, words in said.error.replace("\n", " ")) == (2, True), said


async def test_after_ctrl_c_the_same_command_goes_on(tenancy: Tenancy, tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    rows = (f"S{number:05},{secrets.token_hex(64)},totp,6,30\n" for number in range(12_000))
    file.write_text("".join(rows))

    first = await _started(tenancy, file)
    await asyncio.wait_for(_until_some_parts_came(tenancy, file), 60)
    first.send_signal(signal.SIGINT)
    out, error = await first.communicate()
    second = await _import(tenancy, file)

    assert (first.returncode, b"the same command goes on" in error) == (130, True), out
    assert "going on with an import of these rows, after part" in second.out
    assert (second.code, "\n  stocked: 12000\n" in second.out) == (0, True), second


async def _until_some_parts_came(tenancy: Tenancy, file: Path) -> None:
    with file.open("rb") as opened:
        read = read_tokens(opened, TokenFile.OATH_CSV, Unlocking())
        lines = [row_of(one, Owners({})) for one in read]
    digest = hashlib.sha256(b"".join(lines)).hexdigest()
    body = {"dry_run": False, "rows": len(lines), "digest": digest}
    found: dict[str, object] = {"parts": 0}
    while not found["parts"]:
        answer = await tenancy.ask("/v1/authenticator-imports", body, key=tenancy.manage_key)
        found = answer.json()


@pytest.mark.security("S14")
async def test_no_secret_of_an_import_is_anywhere_on_disk_in_clear(
    tenancy: Tenancy, tmp_path: Path
) -> None:
    person, report = await tenancy.person(), tmp_path / "refused.jsonl"
    theirs, stocked, refused, waiting = (secrets.token_bytes(20) for _ in range(4))
    file = tmp_path / "tokens.csv"
    file.write_text(
        f"T1,{theirs.hex()},totp,6,30,{person.name}\nT2,{b32encode(stocked).decode()},hotp,6,1\n"
        f"T3,{refused.hex()},totp,6,30,nobody@example.org\nT4,{refused.hex()},totp,9,30\n"
    )
    dry = await _import(tenancy, file, "--dry-run", "--report", str(report))
    said = await _import(tenancy, file, "--report", str(report))
    await tenancy.events_of(person, until_type="mfa.credential_claimed")
    await _cancelled(tenancy, waiting)

    connection = await asyncpg.connect(tenancy.system.servers.postgres.dsn("watchword"))
    await connection.execute("CHECKPOINT")
    cluster = Path(await connection.fetchval("SHOW data_directory"))
    await connection.close()

    forms = [form for one in (theirs, stocked, refused, waiting) for form in _forms(one)]
    data = tenancy.system.around.data
    read = files(data, cluster)
    assert {cluster / "pg_wal", data / "kafka", data / "logs"} <= {
        folder for one in read for folder in one.parents
    }
    contents = ((one.name, _content(one)) for one in read)
    found = [name for name, content in contents if any(form in content for form in forms)]
    assert (dry.code, said.code) == (1, 1), said
    assert found == []
    shown = f"{said}{dry}{report.read_text()}".encode()
    assert [form for form in forms if form in shown] == []
    assert any(form in file.read_bytes() for form in forms), "the test knows what it looks for"


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        # What the server has done with since it was listed.
        return b""


def _forms(secret: bytes) -> list[bytes]:
    in_base32, in_base64 = b32encode(secret), b64encode(secret).rstrip(b"=")
    hexadecimal = secret.hex().encode()
    return [secret, in_base32, in_base32.lower(), in_base64, hexadecimal, hexadecimal.upper()]


async def _cancelled(tenancy: Tenancy, secret: bytes) -> None:
    """Send a row that is never begun."""
    path, key = "/v1/authenticator-imports", tenancy.manage_key
    begun = await tenancy.must(path, {"dry_run": False}, status=201, key=key)
    about = f"{path}/{begun['import_id']}"
    row = {"factor": "totp", "secret": b32encode(secret).decode(), "serial": "T9"}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/plain"}
    sent = await tenancy.http.put(f"{about}/parts/1", content=json.dumps(row), headers=headers)
    assert sent.status_code == 200, sent.text
    ended = await tenancy.http.delete(about, headers={"Authorization": f"Bearer {key}"})
    assert ended.json()["state"] == "cancelled"
