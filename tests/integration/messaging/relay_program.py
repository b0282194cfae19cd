"""A relay process for the fault runs, which can be told to die where it hurts."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta

from libs.messaging.kafka import KafkaSettings, Message, Producer
from libs.messaging.relay import RelayLimits, run_relay
from libs.postgres.pool import open_pool


class FaultyProducer(Producer):
    """Dies between sending and telling, or loses time between reading and sending."""

    fault: str = "none"

    async def send(self, messages: Sequence[Message]) -> list[bool]:
        if self.fault == "slow":
            await asyncio.sleep(random.uniform(0, 0.3))
        acknowledged = await super().send(messages)
        if self.fault == "die" and any(acknowledged) and random.random() < 0.3:
            os.kill(os.getpid(), signal.SIGKILL)
        return acknowledged


async def main(dsn: str, bootstrap: str, service: str, fault: str) -> None:
    pool = await open_pool(dsn, name="relay", largest=2)
    producer = FaultyProducer(KafkaSettings(bootstrap), limit=timedelta(milliseconds=700))
    producer.fault = fault
    limits = RelayLimits(batch=50, lease=timedelta(seconds=1.5))
    await run_relay(pool, producer, service=service, stop=asyncio.Event(), limits=limits)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
