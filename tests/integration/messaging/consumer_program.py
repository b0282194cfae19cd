"""A consumer process for the fault runs: leaves an effect, slowly, for each event."""

import asyncio
import random
import sys

from libs.messaging.cloud_event import CloudEvent
from libs.messaging.consumer import run_consumer
from libs.messaging.kafka import KafkaSettings
from libs.postgres.pool import Connection, open_pool
from tests.integration.messaging.bench import LEAVE_EFFECT, THING_DONE, quick


async def main(app: str, worker: str, bootstrap: str, topic: str, group: str) -> None:
    async def leave(tx: Connection, event: CloudEvent) -> None:
        await asyncio.sleep(random.uniform(0, 0.02))
        place = (event.tenant, group, event.id, event.key, event.sequence)
        await tx.execute(LEAVE_EFFECT, *place)

    await run_consumer(
        app_pool=await open_pool(app, name="app"),
        worker_pool=await open_pool(worker, name="worker", largest=3),
        kafka=KafkaSettings(bootstrap),
        group=group,
        topics=[topic],
        handlers={THING_DONE: leave},
        stop=asyncio.Event(),
        settings=quick(),
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
