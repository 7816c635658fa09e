"""What storing one more resource costs when many are there: a load of more records, and creates over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks.client import drive_in_process, http_request
from benchmarks.process import cpu_seconds, cpu_seconds_of_all
from benchmarks.search.population import SEED
from benchmarks.search.prepared import Database, Shelf, load
from fhir_server.synthetic import generate
from tests.live_server import running_server

LOADED = 20_000
CREATE_CONNECTIONS = 16


@dataclass
class Ingested:
    """CPU, microseconds a resource: of the processes that store it, and of PostgreSQL's."""

    load_us: float
    load_database_us: float
    create_us: float
    create_database_us: float
    loaded_per_second: float
    created_per_second: float


def measure_ingest(shelf: Shelf, database: Database, directory: Path, seconds: float) -> Ingested:
    """On a copy of `database`, which stays as it is."""
    file = directory / "more.ndjson"
    with file.open("wb") as output:
        for one in generate(SEED + 2, resources=LOADED):
            output.write(orjson.dumps(one) + b"\n")
    creates = [
        http_request("POST", f"/fhir/{one['resourceType']}", orjson.dumps(_new(one)))
        for one in generate(SEED + 3, resources=2_000)
    ]
    postgres = shelf.postgres_pid() if database.engine == "postgresql" else None
    with shelf.copied(database) as url:
        its = _seconds(postgres)
        elapsed, load_us = load(url, file)
        load_database_us = _seconds(postgres) - its
        with running_server(url, directory) as server:
            drive_in_process(server.port, creates, CREATE_CONNECTIONS, 1).refuse_failures("create")
            own, its = cpu_seconds(server.pid), _seconds(postgres)
            done = drive_in_process(server.port, creates, CREATE_CONNECTIONS, seconds)
            create_us, create_database_us = cpu_seconds(server.pid) - own, _seconds(postgres) - its
    done.refuse_failures("create")
    return Ingested(
        load_us / LOADED * 1e6,
        load_database_us / LOADED * 1e6,
        create_us / done.requests * 1e6,
        create_database_us / done.requests * 1e6,
        LOADED / elapsed,
        done.per_second(),
    )


def _new(one: dict[str, object]) -> dict[str, object]:
    """Without an id; references point to nobody's records, which a create does not look for."""
    return {key: value for key, value in one.items() if key != "id"}


def _seconds(pid: int | None) -> float:
    return 0.0 if pid is None else cpu_seconds_of_all(pid)
