"""A signalling process with one call, to be killed: `python -m tests.server.media_holder` with JSON on standard input.

It prints one line of JSON: process ids of the workers and the local addresses of the call, and waits.
"""

from __future__ import annotations

import asyncio
import json
import sys

from cubeproxy.protocols.values import MediaEvent, MediaReserved, Need, ReserveMedia, UpdateMedia
from cubeproxy.server.media import MediaService
from tests.media.phones import Phone, key


async def hold(order: dict[str, object]) -> None:
    events: asyncio.Queue[MediaEvent] = asyncio.Queue()
    service = MediaService(
        events.put_nowait,
        (order["first"], order["last"]),  # type: ignore[arg-type]
        lease=order["lease"],  # type: ignore[arg-type]
        idle=order["idle"],  # type: ignore[arg-type]
        heartbeat=0.25,  # a worker that gets no core for two seconds is not hung
    )
    await service.start()
    answer: dict[str, object] = {"workers": list(service.workers.values())}
    if order["call"]:
        service.handle(ReserveMedia(1, "held", ("127.0.41.1", "127.0.41.2"), Need.CRYPTO))
        reserved = await events.get()
        assert isinstance(reserved, MediaReserved)
        access, core = (tuple(each) for each in order["phones"])  # type: ignore[attr-defined]
        legs = (Phone(access, key(1), key(2)).spec(), Phone(core).spec())
        service.handle(UpdateMedia(reserved.session, legs))
        answer["local"] = reserved.local
    print(json.dumps(answer), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(hold(json.loads(sys.stdin.readline())))
