"""Work that a server process does beside answering: repeated for ever, restarted when it fails, ended with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from fhir_server.observability.logs import trace

Step = Callable[[], Awaitable[object]]
"""Does what there is to do; a true result says that there may be more at once."""
_log = structlog.get_logger()


class Background:
    """The repeated works of one process."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def repeat(self, name: str, step: Step, seconds: float) -> None:
        """Do `step` again and again, `seconds` apart while there is nothing to do or it fails."""
        self._tasks.append(asyncio.create_task(_forever(name, step, seconds), name=name))

    async def stop(self) -> None:
        """Cancel all, and wait until each has left what it did in order."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []


async def _forever(name: str, step: Step, seconds: float) -> None:
    while True:
        more: object = False
        try:
            more = await step()
        except Exception as error:
            _log.error(f"{name} failed", trace=trace(error))
        await asyncio.sleep(0 if more else seconds)
