"""HTTP load generators: a closed loop of keep-alive connections, and requests at a fixed rate whatever the answers.

They run in a process of their own (`..._in_process`), so that the server's CPU time is the server's alone.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing import get_context
from typing import cast

import uvloop

HEAD_END = b"\r\n\r\n"
LAST_ANSWER_SECONDS = 60
"""A request unanswered for so long ends the measurement with an error."""

MOST_CONNECTIONS = 64
"""Of the generator with a fixed rate; more requests at a time wait for one, and the wait counts."""
BACKLOG_SECONDS = 2
"""A server so far behind does not keep up: the generator with a fixed rate stops."""


@dataclass
class Load:
    """What one drive did. Latencies are seconds, sorted."""

    seconds: float
    statuses: dict[int, int]
    latencies: list[float] = field(repr=False)
    kept_up: bool = True
    """False: the requests came faster than the server answers."""

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


class KeepAlive(asyncio.Protocol):
    """A connection with one request at a time. Answers must have a Content-Length."""

    def __init__(self) -> None:
        self.buffer = b""
        self.transport: asyncio.Transport
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

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
        self.buffer = b""
        self.answered(int(head[9:12]))

    def answered(self, status: int) -> None:
        raise NotImplementedError

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Connection(KeepAlive):
    """Sends the next request of its run when the last was answered."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run
        self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.send()

    def send(self) -> None:
        request = self.run.next_request()
        if request is None:
            self.transport.close()
            return
        self.sent = time.perf_counter()
        self.transport.write(request)

    def answered(self, status: int) -> None:
        self.run.answered(status, time.perf_counter() - self.sent)
        self.send()


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


class Arrivals:
    """Requests that come at a fixed rate. A latency is counted from when its request should have been sent: one that
    had to wait, because the server was slow with those before it, waited for all of that time."""

    def __init__(self, port: int, requests: list[bytes], rate: float, seconds: float) -> None:
        self._port = port
        self._requests = cycle(requests)
        self._rate = rate
        self._count = int(rate * seconds)
        self._idle: list[_Arriving] = []
        self._all: list[_Arriving] = []
        self._waiting: deque[float] = deque()
        self._arrived = 0
        self._loop = asyncio.get_running_loop()
        self._finished = asyncio.Event()
        self._stopped = threading.Event()
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []

    async def run(self) -> Load:
        for _ in range(MOST_CONNECTIONS):
            _, connection = await self._loop.create_connection(lambda: _Arriving(self), "127.0.0.1", self._port)
            self._all.append(connection)
        self._idle = list(self._all)
        started = time.perf_counter()
        # The event loop's timers are a millisecond coarse: a thread keeps the time.
        threading.Thread(target=self._tick, args=(started,), daemon=True).start()
        async with asyncio.timeout(self._count / self._rate + LAST_ANSWER_SECONDS):
            await self._finished.wait()
        elapsed = time.perf_counter() - started
        for connection in self._all:
            connection.transport.close()
        return Load(elapsed, dict(self.statuses), sorted(self.latencies), not self._stopped.is_set())

    def _tick(self, started: float) -> None:
        for number in range(self._count):
            due = started + number / self._rate
            while (left := due - time.perf_counter()) > 0:
                time.sleep(left)
            if self._stopped.is_set():
                return
            self._loop.call_soon_threadsafe(self._arrive, due)

    def _arrive(self, due: float) -> None:
        self._arrived += 1
        self._waiting.append(due)
        self._send()
        if len(self._waiting) > self._rate * BACKLOG_SECONDS:
            self._stopped.set()
            now = time.perf_counter()
            self.latencies += [now - waiting for waiting in self._waiting]
            self._waiting.clear()
            self._finish()

    def _send(self) -> None:
        while self._waiting and self._idle:
            connection = self._idle.pop()
            connection.due = self._waiting.popleft()
            connection.transport.write(next(self._requests))

    def answered(self, connection: _Arriving, status: int) -> None:
        self.statuses[status] += 1
        self.latencies.append(time.perf_counter() - connection.due)
        self._idle.append(connection)
        self._send()
        self._finish()

    def _finish(self) -> None:
        all_came = self._arrived == self._count or self._stopped.is_set()
        if all_came and not self._waiting and len(self._idle) == len(self._all):
            self._finished.set()


class _Arriving(KeepAlive):
    def __init__(self, arrivals: Arrivals) -> None:
        super().__init__()
        self.arrivals = arrivals
        self.due = 0.0

    def answered(self, status: int) -> None:
        self.arrivals.answered(self, status)


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


def arrive(port: int, requests: list[bytes], rate: float, seconds: float) -> Load:
    """Send `requests`, over and over, so many a second for so many seconds."""

    async def run() -> Load:
        return await Arrivals(port, requests, rate, seconds).run()

    return uvloop.run(run())


def arrive_in_process(port: int, requests: list[bytes], rate: float, seconds: float) -> Load:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(arrive, port, requests, rate, seconds).result()


def steady(port: int, requests: list[bytes], rate: float, seconds: float) -> Load:
    """`arrive_in_process`, of which every request has to succeed."""
    done = arrive_in_process(port, requests, rate, seconds)
    done.refuse_failures("request")
    return done


def http_request(method: str, target: str, body: bytes = b"") -> bytes:
    """A request as it goes over the wire."""
    head = f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/fhir+json\r\n"
    if body:
        head += f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body
