"""The least that the parts under the server cost on this machine, measured in the same run."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from benchmarks.client import drive_in_process, http_request
from benchmarks.process import cpu_seconds
from tests.live_server import free_port

BODY = orjson.dumps({"resourceType": "Observation", "text": "x" * 1000})
COMMITS = 300


async def bare_app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The smallest ASGI application: 1 kB of bytes."""
    if scope["type"] == "lifespan":
        for answer in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{answer}.complete"})
        return
    headers = [(b"content-type", b"application/fhir+json"), (b"content-length", str(len(BODY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


def measure_floors(directory: Path, seconds: float) -> dict[str, float]:
    """Microseconds, but for commits per second."""
    return {
        "bare uvicorn answer, CPU us": bare_uvicorn_us(seconds),
        "sqlite3 select by key, us": sqlite_get_us(directory),
        "sqlite3 durable commits/s": sqlite_commits_per_second(directory),
        "orjson.loads of 1 kB, us": timed_us(lambda: orjson.loads(BODY)),
    }


def bare_uvicorn_us(seconds: float) -> float:
    port = free_port()
    options = [
        "--port",
        str(port),
        "--no-access-log",
        "--log-level",
        "warning",
        "--loop",
        "uvloop",
        "--http",
        "httptools",
    ]
    with subprocess.Popen([sys.executable, "-m", "uvicorn", "benchmarks.floors:bare_app", *options]) as process:
        try:
            asyncio.run(_until_open(port))
            before = cpu_seconds(process.pid)
            load = drive_in_process(port, [http_request("GET", "/")], 32, seconds)
            return (cpu_seconds(process.pid) - before) / load.requests * 1e6
        finally:
            process.terminate()


async def _until_open(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise RuntimeError("the bare server did not start")


def sqlite_get_us(directory: Path) -> float:
    with sqlite3.connect(directory / "floor-get.db") as connection:
        connection.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, body BLOB)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", ((key, BODY) for key in range(10_000)))
        connection.commit()
        return timed_us(lambda: connection.execute("SELECT body FROM t WHERE k = ?", (4711,)).fetchone())


def sqlite_commits_per_second(directory: Path) -> float:
    connection = sqlite3.connect(directory / "floor-commit.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE t (body BLOB)")
    started = time.perf_counter()
    for _ in range(COMMITS):
        connection.execute("INSERT INTO t VALUES (?)", (BODY,))
    elapsed = time.perf_counter() - started
    connection.close()
    return COMMITS / elapsed


def timed_us(call: Any, repeats: int = 5, calls: int = 5000) -> float:
    runs = []
    for _ in range(repeats):
        started = time.process_time()
        for _ in range(calls):
            call()
        runs.append((time.process_time() - started) / calls * 1e6)
    return median(runs)


def disk_bytes(path: Path) -> int:
    """What a file, or a folder with all that is in it, takes."""
    if path.is_file():
        return path.stat().st_size
    return sum(os.stat(os.path.join(folder, name)).st_size for folder, _, files in os.walk(path) for name in files)
