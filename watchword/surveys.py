"""watchword rules simulate, coverage: what rules mean for everybody, before they do."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from watchword.front_door import FrontDoor, KeyFile, NotAnsweredError, Url, front_door
from watchword.rules_file import UnreadableRulesError, read_rules

_OUT, _ERROR = Console(highlight=False), Console(stderr=True, highlight=False)
_WORDS = {
    "allow": "are not asked",
    "challenge": "are asked for a code",
    "put_off": "are asked to enroll, and may put it off",
    "enroll": "have to enroll to get in",
    "deny": "do not get in",
}

RulesFile = Annotated[Path, typer.Argument(help="A YAML file.", exists=True, dir_okay=False)]
At = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%dT%H:%M%z"], help="Such as 2027-02-01T08:00+0100; else now."),
]
Prices = Annotated[
    list[str] | None, typer.Option("--price", help="Of a message: --price sms=0.08; repeatable.")
]
Days = Annotated[int, typer.Option(min=1, max=90, help="Logins of so many days are looked at.")]


def simulate(
    file: RulesFile,
    url: Url,
    at: At = None,
    days: Days = 30,
    price: Prices = None,
    key_file: KeyFile = None,
) -> None:
    """Say what a file would mean for everybody: who is asked, who has to enroll, what it costs."""
    body = {"rules": rules_of(file), "days": days, "prices": _prices(price or [])}
    found = _asked(body, at, url, key_file)
    _show(found, ("rules in force", "before"), ("these rules", "after"))
    _OUT.print(_logins(found["logins"]))


def coverage(url: Url, at: At = None, key_file: KeyFile = None) -> None:
    """Say who is ready for the rules in force, and who is not."""
    found = _asked({}, at, url, key_file)
    _show(found, ("people", "after"))
    for application in found["applications"]:
        counts = application["after"]
        said = [f"{counts[fate]:,} {words}" for fate, words in _WORDS.items() if counts[fate]]
        _OUT.print(f"{application['name']}: {', '.join(said)}", markup=False, soft_wrap=True)


def _asked(
    body: Mapping[str, object], at: datetime | None, url: str, key_file: Path | None
) -> Mapping[str, Any]:
    sent = {**body, "at": at.isoformat()} if at is not None else dict(body)
    try:
        with front_door(url, key_file) as door:
            return _watched(door, sent)
    except NotAnsweredError as error:
        _fail(str(error))


def _watched(door: FrontDoor, body: Mapping[str, object]) -> Mapping[str, Any]:
    columns = (TextColumn("looking at people"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=_ERROR, transient=True) as progress:
        task = progress.add_task("", total=None)
        for step in door.events("/v1/rules/simulation", body):
            if "result" in step:
                result: Mapping[str, Any] = step["result"]
                return result
            progress.update(task, completed=step["done"], total=step["of"])
    raise NotAnsweredError("the answer ended before its result")


def rules_of(file: Path) -> dict[str, Any]:
    """Return the rules that a file holds, or end with what is wrong with it."""
    try:
        found = read_rules(file.read_text(encoding="utf-8"))
        # What YAML can say and JSON cannot is no rule.
        json.dumps(found)
    except (UnreadableRulesError, UnicodeDecodeError) as error:
        _fail(f"{file}: {error}")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        _fail(f"{file}: cannot be read as rules ({type(error).__name__})")
    return found


def _fail(words: str) -> NoReturn:
    _ERROR.print(words, markup=False, soft_wrap=True)
    raise typer.Exit(2)


def _prices(said: list[str]) -> Mapping[str, str]:
    pairs = [one.partition("=") for one in said]
    if any(not sign for _, sign, _ in pairs):
        raise typer.BadParameter("a price is written as sms=0.08", param_hint="--price")
    return {kind: price for kind, _, price in pairs}


def _show(found: Mapping[str, Any], *columns: tuple[str, str]) -> None:
    _OUT.print(f"at {found['at']}, everybody once, with the hardest of their logins:")
    table = Table("", *(name for name, _ in columns), box=None)
    for fate, words in _WORDS.items():
        table.add_row(words, *(f"{found['people'][side][fate]:,}" for _, side in columns))
    _OUT.print(table)
    for application in found["applications"]:
        for move in application["moves"]:
            _OUT.print(
                f"{application['name']}: {move['people']:,} who {_WORDS[move['before']]} under the"
                f" rules in force {_WORDS[move['after']]}",
                markup=False,
                soft_wrap=True,
            )
    if found["rules"]:
        _OUT.print(_rules(found["rules"]))
    for moment in found["moments"]:
        _OUT.print(f"a rule starts, is enforced or ends at {moment}; look there with --at")


def _rules(rules: list[Mapping[str, Any]]) -> Table:
    table = Table("rule", "asks", "decides about", "ready", "not ready", box=None)
    for one in rules:
        # Where nothing is asked, nobody has to be ready.
        names = ("people", "ready", "not_ready")
        asks = one["asks"] in ("required", "optional")
        numbers = [f"{one[name]:,}" if asks or name == "people" else "" for name in names]
        table.add_row(one["rule"], one["asks"], *numbers)
    return table


def _logins(logins: Mapping[str, Any]) -> str:
    said = f"of {logins['observed']:,} logins in the last {logins['days']} days"
    parts = {
        "as_before": "would go as before",
        "by_another_factor": "would need another factor",
        "not_asked": "would not be asked",
        "enrolling": "would have to enroll",
        "denied": "would be denied",
    }
    told = [f"{logins[name]:,} {words}" for name, words in parts.items() if logins[name]]
    messages = logins["messages"]
    sent = f"; {messages['sms']:,} text messages, {messages['voice']:,} calls"
    cost = f", which cost {logins['cost']}" if float(logins["cost"]) else ""
    return f"{said} {', '.join(told)}{sent}{cost}" if told else f"{said}: none was seen"
