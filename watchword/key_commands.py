"""watchword keys: which keys seal what, and replacing them."""

import asyncio
import json
import sys
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from libs.sealing.rotation_store import Kind
from watchword import keys, rotation
from watchword.place import DEFAULT_DATA, NoSystem, find_place

app = typer.Typer(help="Keys that seal secrets at rest.", no_args_is_help=True)
_OUT, _ERROR = Console(highlight=False), Console(stderr=True, highlight=False)
_LOOK_EVERY = 1.0

Data = Annotated[Path, typer.Option(help="The data folder of a local system.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
FromEnvironment = Annotated[
    bool,
    typer.Option(
        "--from-environment", help="Databases by WATCHWORD_<SERVICE>_OWNER_DSN, not a data folder."
    ),
]
Result = TypeVar("Result")


@app.command("list")
def list_keys(
    data: Data = DEFAULT_DATA, as_json: AsJson = False, from_environment: FromEnvironment = False
) -> None:
    """List which keys seal what: data keys by service, purpose and version."""
    rows = _run(keys.data_keys(_owners(data, from_environment)))
    if as_json:
        _print_json([row.as_dict() for row in rows])
        return
    table = Table("service", "purpose", "version", "tenants", "rows", "wrapped under", "", box=None)
    for row in rows:
        sealed = "" if row.rows is None else str(row.rows)
        state = "retired" if row.retired else ""
        numbers = (str(row.version), str(row.tenants), sealed)
        table.add_row(row.service, row.purpose, *numbers, row.wrapped, state)
    _OUT.print(table)


@app.command()
def rotate(
    data: Data = DEFAULT_DATA,
    kek: Annotated[
        bool, typer.Option("--kek", help="Wrap data keys anew under the provider's newest key.")
    ] = False,
    tenant: Annotated[UUID | None, typer.Option(help="Of this tenant only.")] = None,
    only_plan: Annotated[
        bool, typer.Option("--plan", help="Show what it takes; do nothing.")
    ] = False,
    as_json: AsJson = False,
    from_environment: FromEnvironment = False,
) -> None:
    """Replace the data keys of all tenants, or what wraps them, while everything runs.

    Every process has to know of new data keys before rows are sealed anew: this takes a minute at
    least. Ctrl-C ends the looking on, not the work; the same command looks on again. With --kek a
    local system's key files get a new version first; for Vault, rotate its key before.
    """
    owners = _owners(data, from_environment)
    if only_plan:
        _show_plan(_run(rotation.plan(owners, tenant)), as_json=as_json)
        return
    if tenant is not None and not any(one.tenants for one in _run(rotation.plan(owners, tenant))):
        _ERROR.print(f"no service has keys of a tenant {tenant}")
        raise typer.Exit(1)
    kind = Kind.WRAPPING if kek else Kind.DATA
    under_way = any(one.done < one.tenants for one in _run(rotation.progress(owners, kind, tenant)))
    if under_way:
        _ERROR.print("it is under way already; looking on")
    else:
        if kek and not from_environment:
            _add_file_keys(data, _run(rotation.plan(owners, tenant)))
        _run(rotation.start(owners, kind, tenant))
    _run(_look_on(owners, kind, tenant, as_json=as_json))


@app.command("rotate-receipts")
def rotate_receipts(data: Data = DEFAULT_DATA, from_environment: FromEnvironment = False) -> None:
    """Publish the next key of receipts now; it signs a day later, when all have fetched it."""
    asked = _run(keys.replace_receipt_key(_owners(data, from_environment)))
    if not asked:
        _OUT.print("There is no key yet; the first one is made when it is needed.")
        raise typer.Exit(1)
    _OUT.print("The next key is at /v1/receipts/keys within a minute, and signs a day later.")


async def _look_on(
    owners: Mapping[str, str], kind: Kind, tenant: UUID | None, *, as_json: bool
) -> None:
    shown: Sequence[rotation.Progress] = ()
    while True:
        found = await rotation.progress(owners, kind, tenant)
        for one in found:
            if one not in shown:
                _show_progress(one, as_json=as_json)
        if all(one.done == one.tenants for one in found):
            return
        shown = found
        await asyncio.sleep(_LOOK_EVERY)


def _show_plan(planned: Sequence[rotation.Planned], *, as_json: bool) -> None:
    if as_json:
        _print_json([one.as_dict() for one in planned])
        return
    table = Table("service", "purpose", "tenants", "keys", "versions", "rows", "", box=None)
    for one in planned:
        numbers = (str(one.tenants), str(one.keys), ", ".join(map(str, one.versions)))
        kept = f"only wrapped anew: {one.kept}" if one.kept else ""
        table.add_row(one.service, one.purpose, *numbers, str(one.rows or ""), kept)
    _OUT.print(table)


def _show_progress(one: rotation.Progress, *, as_json: bool) -> None:
    if as_json:
        _print_json([one.as_dict()])
        return
    steps = f", {', '.join(one.steps)}" if one.steps else ""
    troubles = f", waits: {', '.join(one.troubles)}" if one.troubles else ""
    _OUT.print(
        f"{one.service} {one.purpose}: {one.done} of {one.tenants} tenants,"
        f" {one.replaced} replaced{steps}{troubles}"
    )


def _add_file_keys(data: Path, planned: Sequence[rotation.Planned]) -> None:
    # Where Vault wraps, its own key is what was rotated.
    by_file = {one.service for one in planned if any(w.startswith("file") for w in one.wrapped)}
    rotation.add_file_keys(find_place(data), sorted(by_file))


def _owners(data: Path, from_environment: bool) -> Mapping[str, str]:
    if from_environment:
        return keys.owners_in_environment() or _fail("no WATCHWORD_<SERVICE>_OWNER_DSN is set")
    try:
        return keys.owners_of(find_place(data))
    except NoSystem as error:
        _fail(str(error))


def _run(work: Coroutine[object, object, Result]) -> Result:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        _ERROR.print("the services go on; the same command looks on again")
        raise typer.Exit(130) from None
    except NoSystem as error:
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    _ERROR.print(f"[red]{text}[/]", soft_wrap=True)
    raise typer.Exit(1)


def _print_json(rows: Sequence[Mapping[str, object]]) -> None:
    for row in rows:
        sys.stdout.write(json.dumps(row, default=str) + "\n")
    sys.stdout.flush()
