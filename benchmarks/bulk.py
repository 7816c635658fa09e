"""How fast $export is, against what the database can give: python -m benchmarks.bulk FOLDER [SIZE [ENGINE...]]

The databases are loaded in FOLDER once and kept (benchmarks/search/prepared.py). Floors are measured in the same run: a
plain cursor over the bodies on SQLite, `COPY ... (FORMAT binary)` by psql to /dev/null on PostgreSQL.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import psutil

from benchmarks.client import Load, http_request, steady
from benchmarks.search.prepared import ENGINES, Shelf
from fhir_server.synthetic import generate
from tests.live_server import LiveServer, running_server

RATE = 100.0
SECONDS = 6.0


@dataclass
class Export:
    """What one took."""

    seconds: float
    resources: int
    bytes: int
    cpu_seconds: float
    """Of the process that exports."""
    memory: int
    """Its largest resident size, bytes."""

    def __str__(self) -> str:
        rate, speed = self.resources / self.seconds, self.bytes / self.seconds / 1e6
        return (
            f"{self.resources:,} resources, {self.bytes / 1e6:,.0f} MB in {self.seconds:.1f} s: {rate:,.0f}/s,"
            f" {speed:,.0f} MB/s; CPU {self.cpu_seconds:.1f} s; memory {self.memory / 1e6:.0f} MB"
        )


def main(folder: Path, size: int, engines: list[str]) -> None:
    shelf = Shelf(folder, keep=True)
    for engine in engines:
        database = shelf.database(engine, size)
        with running_server(database.url, folder, "--export-folder", str(folder / "files")) as server:
            print(f"{engine}, {size:,} resources")
            for _ in range(2):
                print("  floor:", _floor(engine, database.url))
                print("  all:", exported(server, folder / "files", ""))
            print("  compressed:", exported(server, folder / "files", "?_outputFormat=ndjson.gz"))
            whole = exported(server, folder / "files", "?_type=Observation")
            print("  Observation:", whole)
            part = exported(server, folder / "files", "?_type=Observation&_typeFilter=Observation%3Fcode%3D1988-5")
            ratio = part.seconds / part.resources / (whole.seconds / whole.resources)
            print(f"  of one code: {part} ({ratio:.1f} times as long a resource)")
            print("  Patient/$export:", exported(server, folder / "files", "", path="Patient/$export"))
            _beside(server, folder / "files")
        wal = Path(database.url.removeprefix("sqlite:///") + "-wal")
        if wal.exists():
            print(f"  write-ahead log afterwards: {wal.stat().st_size / 1e6:.0f} MB")


def _floor(engine: str, url: str) -> str:
    started = time.perf_counter()
    total = 0
    if engine == "sqlite":
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            for (body,) in connection.execute("SELECT body FROM version WHERE method < 2 ORDER BY seq"):
                total += len(body) + 1
    else:
        sql = "COPY (SELECT body FROM version WHERE method < 2) TO STDOUT (FORMAT binary)"
        psql = subprocess.run(["psql", url, "-c", sql], stdout=subprocess.PIPE, check=True)
        total = len(psql.stdout)
    seconds = time.perf_counter() - started
    return f"{total / 1e6:,.0f} MB in {seconds:.1f} s: {total / seconds / 1e6:,.0f} MB/s"


def exported(server: LiveServer, files: Path, query: str, path: str = "$export") -> Export:
    """Time from the first step to the last, the wait for a worker left out."""
    with httpx.Client(base_url=f"{server.base_url}/", timeout=60) as http:
        answer = http.get(f"{path}{query}", headers={"Prefer": "respond-async"})
        answer.raise_for_status()
        address = answer.headers["Content-Location"]
        started, memory, cpu = 0.0, 0, 0.0
        while (answer := http.get(address)).status_code == 202:
            process = _process(server)
            if process is not None and started == 0.0 and "running" in answer.headers["X-Progress"]:
                started = time.perf_counter()
            if process is not None:
                memory = max(memory, process.memory_info().rss)
                times = process.cpu_times()
                cpu = times.user + times.system
            time.sleep(0.02)
        seconds = time.perf_counter() - started
        manifest = answer.json()
        job = address.rpartition("/")[2]
        written = sum(one.stat().st_size for one in (files / job).iterdir())
        http.delete(address)
    return Export(seconds, sum(one["count"] for one in manifest["output"]), written, cpu, memory)


def _process(server: LiveServer) -> psutil.Process | None:
    for child in psutil.Process(server.pid).children(recursive=True):
        if "fhir_server.bulk.export.process" in " ".join(child.cmdline()):
            return child
    return None


def _beside(server: LiveServer, files: Path) -> None:
    """What a running export does to the reads and creates of others."""
    creates = [
        http_request("POST", f"/fhir/{one['resourceType']}", orjson.dumps({k: v for k, v in one.items() if k != "id"}))
        for one in generate(8, resources=1000)
        if one["resourceType"] == "Observation"
    ]
    reads = [http_request("GET", "/fhir/Patient?_count=1")] * 100
    for name, requests in (("reads", reads), ("creates", creates)):
        quiet = steady(server.port, requests, RATE, SECONDS)
        busy = _while_exporting(server, files, lambda requests=requests: steady(server.port, requests, RATE, SECONDS))
        ratio = busy.latency_ms(99) / quiet.latency_ms(99)
        print(
            f"  {name} at {RATE:.0f}/s: p50/p99 {quiet.latency_ms(50):.1f}/{quiet.latency_ms(99):.1f} ms alone,"
            f" {busy.latency_ms(50):.1f}/{busy.latency_ms(99):.1f} ms beside an export ({ratio:.1f} times)"
        )


def _while_exporting(server: LiveServer, files: Path, work: Callable[[], Load]) -> Load:
    stop = threading.Event()

    def export() -> None:
        while not stop.is_set():
            exported(server, files, "")

    running = threading.Thread(target=export)
    running.start()
    time.sleep(2)
    try:
        return work()
    finally:
        stop.set()
        running.join()


if __name__ == "__main__":
    place, *more = sys.argv[1:]
    os.makedirs(place, exist_ok=True)
    shutil.rmtree(Path(place) / "files", ignore_errors=True)
    main(Path(place), int(more[0]) if more else 1_000_000, more[1:] or list(ENGINES))
