"""watchword rules: look at a tenant's rules, compare a file with them, bring it into force."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn
from uuid import UUID

import typer
from rich.console import Console

from watchword import surveys
from watchword.front_door import KeyFile, NotAnsweredError, Url, front_door
from watchword.rules_file import written_rules
from watchword.surveys import RulesFile, rules_of

app = typer.Typer(help="A tenant's rules, as files.", no_args_is_help=True)
_OUT, _ERROR = Console(highlight=False), Console(stderr=True, highlight=False)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept with the version.")]


app.command("simulate")(surveys.simulate)
app.command("coverage")(surveys.coverage)


@app.command("list")
def list_versions(url: Url, key_file: KeyFile = None) -> None:
    """List the latest versions: which is in force (*), or a draft, who wrote it when and why."""
    for one in _call(url, key_file, "GET", "/v1/rules")["versions"]:
        mark = "*" if one["in_force"] else " " if one["publications"] else "draft"
        _OUT.print(
            f"{mark:<5} {one['version']:>4}  {one['created'][:16]}  {one['digest'][:12]}"
            f"  {one['author']}  {one['reason']}",
            markup=False,
            soft_wrap=True,
        )


@app.command("export")
def export(
    url: Url,
    version: Annotated[int | None, typer.Option(help="Else the one in force.")] = None,
    key_file: KeyFile = None,
) -> None:
    """Write a version as YAML to the standard output."""
    chosen = version or _in_force(url, key_file)
    if chosen is None:
        _fail("no rules are in force yet")
    found = _call(url, key_file, "GET", f"/v1/rules/{chosen}")
    typer.echo(written_rules(found["rules"]), nl=False)


@app.command("diff")
def diff(file: RulesFile, url: Url, key_file: KeyFile = None) -> None:
    """Say what a file would change; ends with 1 where there is something."""
    found = _compared(rules_of(file), url, key_file)
    _show(found["changes"])
    _show_lockouts(found["lockouts"])
    raise typer.Exit(1 if found["changes"] else 0)


@app.command("write")
def write(file: RulesFile, url: Url, reason: Reason, key_file: KeyFile = None) -> None:
    """Keep a file as a draft, to be looked at and published by somebody."""
    body = {"rules": rules_of(file), "reason": reason}
    version = _call(url, key_file, "POST", "/v1/rules", body)["version"]
    _OUT.print(f"version {version} is written; watchword rules publish {version} --reason ...")


@app.command("apply")
def apply(
    file: RulesFile, url: Url, reason: Reason, yes: Yes = False, key_file: KeyFile = None
) -> None:
    """Show what a file changes, and bring it into force."""
    rules = rules_of(file)
    found = _compared(rules, url, key_file)
    _show(found["changes"])
    if not found["changes"]:
        return
    if found["lockouts"]:
        _show_lockouts(found["lockouts"])
        raise typer.Exit(2)
    if not yes:
        typer.confirm("Bring this into force?", abort=True)
    body = {"rules": rules, "reason": reason}
    version = _call(url, key_file, "POST", "/v1/rules", body)["version"]
    _publish(url, key_file, version, replaces=found["in_force"], reason=reason)


@app.command("publish")
def publish(
    version: int, url: Url, reason: Reason, yes: Yes = False, key_file: KeyFile = None
) -> None:
    """Show what a version changes, a draft or an older one, and bring it into force."""
    replaces = _in_force(url, key_file)
    since = f"?since={replaces}" if replaces is not None else ""
    _show(_call(url, key_file, "GET", f"/v1/rules/{version}/changes{since}")["changes"])
    if not yes:
        typer.confirm("Bring this into force?", abort=True)
    _publish(url, key_file, version, replaces=replaces, reason=reason)


@app.command("proposals")
def proposals(url: Url, key_file: KeyFile = None) -> None:
    """List what waits for a second owner, also of other acts than rules."""
    for one in _call(url, key_file, "GET", "/v1/proposals?limit=100")["proposals"]:
        if one["status"] == "waiting":
            about = " ".join(f"{name}={value}" for name, value in one["content"].items())
            _OUT.print(f"{one['proposal_id']}  {one['act']} {about}", markup=False, soft_wrap=True)
            for words in one["because"]:
                _OUT.print(f"    {words}", markup=False, soft_wrap=True)


@app.command("approve")
def approve(
    proposal: Annotated[UUID, typer.Argument(help="What waits.")],
    url: Url,
    key_file: KeyFile = None,
) -> None:
    """Approve what another owner has proposed; with that it is done."""
    found = _call(url, key_file, "POST", f"/v1/proposals/{proposal}/approval")
    _OUT.print(f"{found['act']}: {found['status']}")


def _publish(
    url: str, key_file: Path | None, version: int, *, replaces: int | None, reason: str
) -> None:
    body = {"replaces": replaces, "reason": reason}
    found = _call(url, key_file, "POST", f"/v1/rules/{version}/publication", body)
    if "proposal_id" in found:
        _OUT.print(f"version {version} waits for a second owner, because it asks for less:")
        _show(found["because"])
        _OUT.print(f"watchword rules approve {found['proposal_id']}", soft_wrap=True)
        return
    _OUT.print(f"version {version} is in force ({found['digest'][:12]})")


def _compared(rules: Mapping[str, Any], url: str, key_file: Path | None) -> dict[str, Any]:
    found = _call(url, key_file, "POST", "/v1/rules/comparison", {"rules": rules})
    if not found.keys() >= {"changes", "in_force", "lockouts"}:
        _fail("what answers there is not Watchword")
    return found


def _show_lockouts(lockouts: Sequence[str]) -> None:
    for line in lockouts:
        _ERROR.print(f"cannot be published: {line}", markup=False, soft_wrap=True)


def _in_force(url: str, key_file: Path | None) -> int | None:
    version: int | None = _compared({"rules": []}, url, key_file)["in_force"]
    return version


def _show(changes: Sequence[str]) -> None:
    for line in changes:
        _OUT.print(line, markup=False, soft_wrap=True)
    if not changes:
        _OUT.print("nothing would change")


def _call(
    url: str, key_file: Path | None, method: str, path: str, body: object = None
) -> dict[str, Any]:
    try:
        with front_door(url, key_file) as door:
            return door.ask(method, path, body=body)
    except NotAnsweredError as error:
        _fail(str(error))


def _fail(words: str) -> NoReturn:
    _ERROR.print(words, markup=False, soft_wrap=True)
    raise typer.Exit(2)
