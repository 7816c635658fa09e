"""A read is stopped when its client goes away: nobody is left to answer (ASGI `http.disconnect`)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fhir_server.http.asgi import Receive
from fhir_server.http.body import ClientDisconnectedError

T = TypeVar("T")

WATCH_AFTER = 0.05
"""Seconds: most reads are answered by then, and pay for a timer alone."""


async def while_connected(receive: Receive, work: Callable[[], Awaitable[T]]) -> T:
    """The result of `work`, which is cancelled when the client leaves.

    Raises:
        ClientDisconnectedError: it has left.
    """
    watch = _Watch(receive)
    try:
        return await work()
    except asyncio.CancelledError:
        if not watch.gone:
            raise
        watch.task.uncancel()
        raise ClientDisconnectedError from None
    finally:
        watch.stop()


class _Watch:
    def __init__(self, receive: Receive) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self.gone = False
        self._receive = receive
        self._watching: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER, self._start)

    def _start(self) -> None:
        self._watching = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            continue
        self.gone = True
        self.task.cancel()

    def stop(self) -> None:
        self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()
