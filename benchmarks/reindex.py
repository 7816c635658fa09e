"""How fast a search parameter is built, and what that does to writes meanwhile: python -m benchmarks.reindex [SIZE]."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import httpx
import orjson

from benchmarks.client import http_request, steady
from benchmarks.search.prepared import load
from fhir_server.synthetic import generate
from tests.live_server import LiveServer, running_server
from tests.postgres import OwnPostgres, execute, with_database

RATE = 50.0
SECONDS = 10.0
PARAMETER = {
    "resourceType": "SearchParameter",
    "id": "measured",
    "url": "http://example.org/SearchParameter/measured",
    "name": "Measured",
    "status": "active",
    "description": "A token of every Observation",
    "code": "measured",
    "base": ["Observation"],
    "type": "token",
    "expression": "Observation.category.coding",
}


def main(size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        file = directory / "population.ndjson"
        with file.open("wb") as output:
            for one in generate(7, resources=size):
                output.write(orjson.dumps(one) + b"\n")
        measure("sqlite", f"sqlite:///{directory / 'reindex.db'}", file, directory)
        postgres = OwnPostgres(directory / "postgres", durable=True)
        execute(postgres.url, "CREATE DATABASE reindex")
        measure("postgresql", with_database(postgres.url, "reindex"), file, directory)


def measure(engine: str, url: str, file: Path, directory: Path) -> None:
    load(url, file)
    with running_server(url, directory, "--no-content") as server:
        creates = [
            http_request(
                "POST", f"/fhir/{one['resourceType']}", orjson.dumps({k: v for k, v in one.items() if k != "id"})
            )
            for one in generate(8, resources=1000)
        ]
        quiet = steady(server.port, creates, RATE, SECONDS)
        httpx.put(f"{server.base_url}/SearchParameter/measured", json=PARAMETER, timeout=60).raise_for_status()
        started = time.monotonic()
        busy = steady(server.port, creates, RATE, SECONDS)
        done, at = progress(server)[1], time.monotonic() - started
        while progress(server)[0] != "completed":
            time.sleep(0.2)
        total = progress(server)[1]
        seconds = time.monotonic() - started
        print(
            f"{engine}: {total} resources in {seconds:.0f} s, {total / seconds:.0f}/s"
            f" ({done / at:.0f}/s beside {RATE:.0f} creates/s);"
            f" creates p50/p99 {quiet.latency_ms(50):.1f}/{quiet.latency_ms(99):.1f} ms alone,"
            f" {busy.latency_ms(50):.1f}/{busy.latency_ms(99):.1f} ms beside it"
        )


def progress(server: LiveServer) -> tuple[str, int]:
    answer = httpx.get(f"{server.base_url}/$reindex", timeout=60).json()
    parts = {part["name"]: part for part in answer["parameter"][0]["part"]}
    return parts["state"]["valueCode"], int(parts["done"]["valueDecimal"])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
