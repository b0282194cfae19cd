"""How long after a confirmed enrollment verification accepts the next code.

python -m bench.claim_latency [COUNT]: starts a system of its own, enrolls COUNT people one after
another and writes bench/results/claim_latency.json (milliseconds).
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from deploy.local.process import silent
from deploy.local.system import start_system
from tests.e2e.people import Tenancy, new_tenancy

RESULTS = Path(__file__).parent / "results" / "claim_latency.json"


async def measure(count: int) -> list[float]:
    """Return the time from confirmation to acceptance, in milliseconds, of each person."""
    with tempfile.TemporaryDirectory() as folder:
        system = await start_system(Path(folder), silent)
        try:
            async with new_tenancy(system) as tenancy:
                taken = []
                for number in range(count):
                    taken.append(await one(tenancy))
                    sys.stderr.write(f"\r{number + 1} of {count}")
                return taken
        finally:
            await system.stop()
            await asyncio.to_thread(system.servers.delete_data)


async def one(tenancy: Tenancy) -> float:
    """Enroll somebody and ask with the code after the confirming one until it is accepted."""
    person = await tenancy.person()
    confirmed = await tenancy.enroll(person)
    code = person.next_code()
    while (await tenancy.verify(person, code)).status_code != 200:  # noqa: ASYNC110 - asks a server
        await asyncio.sleep(0.002)
    return (time.monotonic() - confirmed) * 1000


def main(arguments: list[str]) -> int:
    """Measure, print and store."""
    taken = sorted(asyncio.run(measure(int(arguments[0]) if arguments else 200)))
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    result = {
        "people": len(taken),
        "p50_ms": round(cuts[49], 1),
        "p99_ms": round(cuts[98], 1),
        "max_ms": round(taken[-1], 1),
        "cores": os.cpu_count(),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
