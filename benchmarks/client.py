"""A closed-loop HTTP load generator: keep-alive connections that each send the next request when answered.

It runs in a process of its own (`drive_in_process`), so that the server's CPU time is the server's alone.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing import get_context
from typing import cast

import uvloop

HEAD_END = b"\r\n\r\n"
LAST_ANSWER_SECONDS = 60
"""A request unanswered for so long ends the measurement with an error."""


@dataclass
class Load:
    """What one drive did. Latencies are seconds, sorted."""

    seconds: float
    statuses: dict[int, int]
    latencies: list[float] = field(repr=False)

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())

    def per_second(self) -> float:
        return self.requests / self.seconds

    def latency_ms(self, percentile: float) -> float:
        return self.latencies[min(int(len(self.latencies) * percentile / 100), len(self.latencies) - 1)] * 1000

    def refuse_failures(self, what: str) -> None:
        """A measurement of failing requests is none."""
        failed = {status: count for status, count in self.statuses.items() if not 200 <= status < 300}
        if failed:
            raise RuntimeError(f"{what}: requests failed, status -> count: {failed}")


class Connection(asyncio.Protocol):
    """One keep-alive connection. Answers must have a Content-Length."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.buffer = b""
        self.transport: asyncio.Transport
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.send()

    def send(self) -> None:
        request = self.run.next_request()
        if request is None:
            self.transport.close()
            return
        self.sent = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(HEAD_END)
        if end < 0:
            return
        head = self.buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self.buffer) < end + 4 + length:
            return
        self.run.answered(int(head[9:12]), time.perf_counter() - self.sent)
        self.buffer = b""
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Run:
    """What the connections of one drive share: the requests to send, until the time is over."""

    def __init__(self, requests: list[bytes], seconds: float) -> None:
        self._requests = cycle(requests)
        self._seconds = seconds
        self._end = 0.0
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []

    def start(self) -> None:
        self._end = time.perf_counter() + self._seconds

    def next_request(self) -> bytes | None:
        return next(self._requests) if time.perf_counter() < self._end else None

    def answered(self, status: int, seconds: float) -> None:
        self.statuses[status] += 1
        self.latencies.append(seconds)


def drive(port: int, requests: list[bytes], connections: int, seconds: float) -> Load:
    """Send `requests`, over and over, on so many connections for so many seconds."""
    return uvloop.run(_drive(port, requests, connections, seconds))


def drive_in_process(port: int, requests: list[bytes], connections: int, seconds: float) -> Load:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(drive, port, requests, connections, seconds).result()


async def _drive(port: int, requests: list[bytes], connections: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    run = Run(requests, seconds)
    run.start()
    started = time.perf_counter()
    made = await asyncio.gather(
        *(loop.create_connection(lambda: Connection(run), "127.0.0.1", port) for _ in range(connections))
    )
    async with asyncio.timeout(seconds + LAST_ANSWER_SECONDS):
        await asyncio.gather(*(protocol.done for _, protocol in made))
    return Load(time.perf_counter() - started, dict(run.statuses), sorted(run.latencies))


def http_request(method: str, target: str, body: bytes = b"") -> bytes:
    """A request as it goes over the wire."""
    head = f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/fhir+json\r\n"
    if body:
        head += f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body
