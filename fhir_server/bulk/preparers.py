"""The processes that prepare resources for loading; those that are killed are replaced, and nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import forkserver

from fhir_server.bulk.prepare import Options, prepare_batch
from fhir_server.errors import FhirError

ATTEMPTS = 3
"""Times that a batch is given to processes that get killed."""


class Preparers:
    """Some processes, made by `start` and made anew when one of them was killed."""

    def __init__(self, start: Callable[[], Executor]) -> None:
        self._start = start
        self._pool = start()

    async def prepare(self, bodies: Sequence[bytes], names: Sequence[str], options: Options) -> bytes:
        """As `prepare_batch`. Raises FhirError when the processes are killed again and again."""
        loop = asyncio.get_running_loop()
        for _ in range(ATTEMPTS):
            pool = self._pool
            try:
                return await loop.run_in_executor(pool, prepare_batch, bodies, names, options)
            except BrokenExecutor:
                self._replace(pool)
        raise FhirError(
            "The processes that check resources are killed again and again: is there enough memory? What was stored "
            "is stored; go on when there is."
        )

    def _replace(self, broken: Executor) -> None:
        """All who wait for it learn that it is broken; the first of them replaces it."""
        if self._pool is broken:
            broken.shutdown(wait=False, cancel_futures=True)
            self._pool = self._start()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def preparing_processes(count: int, *, nice: int = 0) -> Iterator[Preparers]:
    """`count` processes, with so much added to their niceness; start them before any thread or event loop."""
    # Ctrl-C is for the process that writes; these inherit that they ignore it.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        start = forked(count, nice)
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, handler)
    # Drafts are millions of small tuples in no cycles: looking for cycles among them took a third of the time.
    gc.disable()
    try:
        preparers = Preparers(start)
        try:
            yield preparers
        finally:
            # A second Ctrl-C while they end would leave a thread waiting for them for ever.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            preparers.close()
    finally:
        gc.enable()
        signal.signal(signal.SIGINT, handler)


def forked(count: int, nice: int) -> Callable[[], Executor]:
    """Starts `count` processes."""
    context = multiprocessing.get_context("forkserver")
    # The server process imports once; each worker is a fork of it.
    context.set_forkserver_preload(["fhir_server.bulk.prepare"])
    return lambda: ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(nice,))


def _begin(nice: int) -> None:
    gc.disable()
    os.nice(nice)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
