"""A CAPF session on a stream: messages in one write each, the owner's work beside the clock."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from cubeproxy.protocols.capf import Effect, Ended, Send
from cubeproxy.protocols.capf.session import Session

PORT = 3804
CHUNK = 16384  # octets

Work = Callable[[Effect], Awaitable[list[Effect]]]  # carries out one effect; what follows from it


async def carry(session: Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, work: Work) -> Ended:
    """Run a session to its end. Long work (a key of an old phone) does not stop the session's alarm."""
    todo = deque(session.start(asyncio.get_running_loop().time()))
    while True:
        while todo:
            match effect := todo.popleft():
                case Send():
                    writer.write(effect.data)
                case Ended():
                    await _drain(writer)
                    return effect
                case _:
                    todo.extendleft(reversed(await _work(session, writer, work, effect)))
        await _drain(writer)
        todo.extend(await _hear(session, reader))


async def _work(session: Session, writer: asyncio.StreamWriter, work: Work, effect: Effect) -> list[Effect]:
    """What an effect of the owner's leads to."""
    loop = asyncio.get_running_loop()
    await _drain(writer)
    task = asyncio.ensure_future(work(effect))
    try:
        while not task.done():
            left = None if session.deadline is None else max(0.0, session.deadline - loop.time())
            done, _ = await asyncio.wait({task}, timeout=left)
            for due in [] if done else session.timeout(loop.time()):
                if isinstance(due, Send):
                    writer.write(due.data)
        return task.result()
    finally:
        task.cancel()


async def _hear(session: Session, reader: asyncio.StreamReader) -> list[Effect]:
    loop = asyncio.get_running_loop()
    left = None if session.deadline is None else max(0.0, session.deadline - loop.time())
    try:
        async with asyncio.timeout(left):
            data = await reader.read(CHUNK)
    except TimeoutError:
        return session.timeout(loop.time())
    except OSError:
        data = b""
    return session.receive(data, loop.time()) if data else session.closed(loop.time())


async def _drain(writer: asyncio.StreamWriter) -> None:
    try:
        await writer.drain()
    except OSError:
        return
