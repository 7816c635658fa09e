"""Work on large documents beside the event loop, so that it goes on answering others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

INLINE_BYTES = 262_144
"""Work on a larger document is done in a thread."""

T = TypeVar("T")

_POOL = ThreadPoolExecutor(2, thread_name_prefix="large-document")
"""Few: they share the interpreter with the event loop, which would wait for each in turn."""


async def aside(size: int, work: Callable[[], T]) -> T:
    """The result of `work`, which costs processor time in proportion to `size` bytes and waits for nothing."""
    if size <= INLINE_BYTES:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_POOL, work)
