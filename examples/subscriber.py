#!/usr/bin/env python3
"""Handles every OASIS event of the ledger exactly once, across restarts and rebuilds of the stream.

    pip install nats-py
    NATS_URL=nats://127.0.0.1:4222 python3 examples/subscriber.py state.json

JetStream delivers at least once. So the subscriber keeps the last position and event id that it handled, together with
what it did (here: in one file; in real life in the same transaction), and drops whatever is not newer.
"""

import asyncio
import json
import os
import sys

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

STREAM, DURABLE, SUBJECT = "OASIS_VTID_LEDGER", "example-subscriber", "oasis.*.vtid-ledger.*"


def load(path):
    try:
        with open(path) as file:
            return json.load(file)
    except FileNotFoundError:
        return {"position": 0, "id": None}


def save(path, state):
    with open(path + ".new", "w") as file:
        json.dump(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


async def check_past(js, state):
    """The message at our position must still be the event that we handled; a stream that is shorter is being put back."""
    if state["position"] == 0:
        return
    try:
        message = await js.get_msg(STREAM, state["position"])
    except NotFoundError:
        return
    if message.headers["Nats-Msg-Id"] != state["id"]:
        sys.exit(
            f"position {state['position']} is another event now: an operator gave up lost history (oasis rebuild "
            "--accept-loss). Go back to the position that it named, in what you keep and in the state file."
        )


async def subscribe(js, state):
    """A durable consumer outlives us; where a rebuild took it with the stream, it is made anew from where we were."""
    await check_past(js, state)
    try:
        await js.consumer_info(STREAM, DURABLE)
    except NotFoundError:
        config = ConsumerConfig(
            durable_name=DURABLE,
            filter_subject=SUBJECT,
            ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=state["position"] + 1,
        )
        await js.add_consumer(STREAM, config)
    return await js.pull_subscribe_bind(DURABLE, STREAM)


async def main(path):
    connection = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    js = connection.jetstream()
    state = load(path)
    subscription = await subscribe(js, state)
    while True:
        try:
            messages = await subscription.fetch(100, timeout=5)
        except (asyncio.TimeoutError, nats.errors.TimeoutError):
            # Nothing came; or the consumer went with a rebuilt stream.
            subscription = await subscribe(js, state)
            continue
        for message in messages:
            event = json.loads(message.data)
            position = event["metadata"]["position"]
            if position > state["position"]:
                print(position, event["event"], event["metadata"]["vtid"], event["status"], flush=True)
                state = {"position": position, "id": event["rid"]}
                save(path, state)
            await message.ack()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
