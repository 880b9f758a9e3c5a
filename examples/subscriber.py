#!/usr/bin/env python3
"""Handles every OASIS event of the ledger exactly once, across restarts and rebuilds of the stream.

    pip install nats-py
    NATS_URL=nats://127.0.0.1:4222 python3 examples/subscriber.py state.json
    NATS_URL=nats://127.0.0.1:4222 python3 examples/subscriber.py state.json 42    # goes back to position 42 first

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


async def message_at(js, position):
    """None where the stream does not go so far: it may just be being put back."""
    try:
        return await js.get_msg(STREAM, position)
    except NotFoundError:
        return None


def is_ours(message, sequence):
    return message is not None and (message.headers or {}).get("ce-position") == str(sequence)


async def wait_for_rebuild(js, sequence):
    """Somebody else wrote into the stream, or NATS lost a message. What comes after is not handled before the ledger's own
    event is there."""
    print(f"sequence {sequence} is not the ledger's event: waiting for a rebuild of the stream", file=sys.stderr)
    await js.delete_consumer(STREAM, DURABLE)
    while not is_ours(await message_at(js, sequence), sequence):
        await asyncio.sleep(0.5)


async def check_past(js, state):
    """The message at our position must still be the event that we handled. Nothing is handled before that is known."""
    while state["position"] > 0:
        message = await message_at(js, state["position"])
        if message is None:
            await asyncio.sleep(0.5)
        elif (message.headers or {}).get("Nats-Msg-Id") == state["id"]:
            return
        else:
            sys.exit(
                f"position {state['position']} is another event now: an operator gave up lost history (oasis rebuild "
                "--accept-loss). Undo what came after the position that it named, and start me with that position."
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


async def go_back(js, path, position):
    """To the position that the operator's rebuild named: what we did after it is undone, as if it had not been."""
    try:
        await js.delete_consumer(STREAM, DURABLE)
    except NotFoundError:
        pass
    message = None
    while position > 0 and message is None:
        message = await message_at(js, position)
        await asyncio.sleep(0 if message else 0.5)
    save(path, {"position": position, "id": message and message.headers["Nats-Msg-Id"]})


async def handle(js, path, state, messages):
    """Handles them in order, each once; false where it had to stop."""
    for message in messages:
        position = message.metadata.sequence.stream
        if position > state["position"]:
            # All events are asked for, so none may be missing: a damaged message is not delivered, nor told of.
            expected = state["position"] + 1
            if position > expected or not is_ours(message, position):
                await wait_for_rebuild(js, expected)
                return False
            event = json.loads(message.data)
            print(position, event["event"], event["metadata"]["vtid"], event["status"], flush=True)
            state.update(position=position, id=event["rid"])
            save(path, state)
        await message.ack()
    return True


async def main(path, back_to=None):
    connection = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"))
    js = connection.jetstream()
    if back_to is not None:
        await go_back(js, path, int(back_to))
    state = load(path)
    subscription = None
    while True:
        try:
            subscription = subscription or await subscribe(js, state)
            messages = await subscription.fetch(100, timeout=5)
            if not await handle(js, path, state, messages):
                subscription = None
        except (asyncio.TimeoutError, nats.errors.Error):
            # Nothing came, or NATS was away; or the consumer went with a rebuilt stream.
            subscription = None
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
