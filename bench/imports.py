"""How long an import of authenticators takes, and how much memory, from the command to its report.

python -m bench.imports [PEOPLE]: starts a system of its own with 100,000 subjects, or PEOPLE, in
one tenant, and has `watchword authenticators import` bring a token for each of them, first as a
dry run, then in earnest, then the same file again; writes bench/results/imports.json.
"""

import asyncio
import json
import os
import re
import secrets
import sys
import tempfile
import time
from pathlib import Path

from deploy.local.process import silent
from deploy.local.system import System, start_system
from tests.e2e.people import Tenancy, new_tenancy

RESULTS = Path(__file__).parent / "results" / "imports.json"
_WATCHWORD = Path(sys.executable).parent / "watchword"
_PART = 5_000
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")
_LOOK_EVERY = 0.2


async def measure(people: int) -> dict[str, object]:
    """Return the figures: seconds, and megabytes at the highest."""
    with tempfile.TemporaryDirectory() as folder:
        system = await start_system(Path(folder), silent)
        try:
            async with new_tenancy(system) as tenancy:
                await _fill(tenancy, people)
                file = Path(folder) / "tokens.csv"
                # Every hundredth has too short a secret, so that there is something to report.
                file.write_text("".join(_row(number) for number in range(people)))
                return await _rounds(system, tenancy, file, people)
        finally:
            await system.stop()
            await asyncio.to_thread(system.servers.delete_data)


def _row(number: int) -> str:
    secret = secrets.token_hex(20 if number % 100 else 10)
    kind = "totp,6,30" if number % 2 else "hotp,6,0"
    return f"S{number:06},{secret},{kind},p{number}@example.org\n"


async def _fill(tenancy: Tenancy, people: int) -> None:
    key, wanted = tenancy.manage_key, {"format": "jsonl", "dry_run": False}
    begun = await tenancy.must("/v1/imports", wanted, status=201, key=key)
    about = f"/v1/imports/{begun['import_id']}"
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/plain"}
    for number, first in enumerate(range(0, people, _PART), start=1):
        names = (f"p{n}@example.org" for n in range(first, min(people, first + _PART)))
        part = "".join(json.dumps({"subject": name}) + "\n" for name in names)
        await tenancy.http.put(f"{about}/parts/{number}", content=part, headers=headers)
    await tenancy.must(f"{about}/start", {}, status=200, key=key)
    while True:
        answer = await tenancy.http.get(about, headers=headers)
        if answer.json()["state"] == "finished":
            return
        await asyncio.sleep(_LOOK_EVERY)


async def _rounds(system: System, tenancy: Tenancy, file: Path, people: int) -> dict[str, object]:
    report = file.with_name("refused.jsonl")
    runs = {"dry_run": ["--dry-run"], "earnest": ["--report", str(report)], "again": []}
    seconds: dict[str, float] = {}
    memory = 0.0
    for name, arguments in runs.items():
        began = time.monotonic()
        memory = max(memory, await _run(tenancy, file, arguments))
        seconds[name] = round(time.monotonic() - began, 1)
    return {
        "people": people,
        "seconds": seconds,
        "reported_rows": len(report.read_text().splitlines()),
        "command_mb": round(memory),
        "service_mb": {
            name: round(_peak(process.pid))
            for name, process in system.processes.items()
            if name in ("enrollment", "policy")
        },
        "load_average": [round(one, 2) for one in os.getloadavg()],
        "cores": os.cpu_count(),
    }


async def _run(tenancy: Tenancy, file: Path, arguments: list[str]) -> float:
    around = {**os.environ, "WATCHWORD": tenancy.system.url, "MANAGE": tenancy.manage_key}
    process = await asyncio.create_subprocess_exec(
        *(str(_WATCHWORD), "authenticators", "import", str(file), *arguments), env=around
    )
    ended, peak = asyncio.create_task(process.wait()), 0.0
    while not ended.done():
        peak = max(peak, _peak(process.pid))
        await asyncio.wait((ended,), timeout=_LOOK_EVERY)
    if process.returncode != 1:
        raise AssertionError("rows were refused, which the command has to say")
    return peak


def _peak(pid: int) -> float:
    """Return how much memory a process had at the most, in MB."""
    try:
        found = _PEAK.search(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def main(arguments: list[str]) -> int:
    """Measure, print and store."""
    people = int(arguments[0]) if arguments else 100_000
    result = asyncio.run(measure(people))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
