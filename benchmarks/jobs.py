"""How fast a day's windows close among many open steps, and what that does to writes meanwhile.

python -m benchmarks.jobs FOLDER [STEPS [DUE [ENGINE...]]]: the databases are made in FOLDER once and kept; every run
closes the steps of the next two days, once within the server and once by `fhir-server jobs run` beside it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import orjson

from benchmarks.client import Load, http_request, steady
from benchmarks.database import store_content
from benchmarks.search.prepared import load
from fhir_server.synthetic import generate
from tests.live_server import LiveServer, running_server
from tests.postgres import OwnPostgres, execute, with_database

RATE = 50.0
SECONDS = 15.0
FIRST = date(2026, 6, 1)
DAYS = 10
"""Days on which DUE steps each end; the others end later."""


def tasks(steps: int, due: int, file: Path) -> None:
    with file.open("wb") as output:
        for n in range(steps):
            end = FIRST + timedelta(days=n // due if n < due * DAYS else 60 + n % 200)
            patient = {"reference": f"Patient/p{n // 5}"}
            task = {
                "resourceType": "Task",
                "id": f"t{n}",
                "basedOn": [{"reference": f"CarePlan/c{n // 5}"}],
                "status": "requested",
                "intent": "plan",
                "for": patient,
                "owner": patient,
                "description": "Answer the questionnaire",
                "authoredOn": f"2026-0{n % 5 + 1}-{n % 28 + 1:02}T10:00:00+00:00",
                "restriction": {"period": {"start": "2026-05-01", "end": end.isoformat()}},
            }
            output.write(orjson.dumps(task) + b"\n")


def main(folder: Path, steps: int, due: int, engines: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for engine in engines:
        name = f"jobs_{steps}_{due}"
        if engine == "sqlite":
            url = f"sqlite:///{folder / name}.db"
            made = (folder / f"{name}.db").exists()
        else:
            postgres = OwnPostgres(folder / "postgres", durable=True)
            made = execute(postgres.url, f"SELECT count(*) FROM pg_database WHERE datname = '{name}'").strip() == "1"
            if not made:
                execute(postgres.url, f"CREATE DATABASE {name}")
            url = with_database(postgres.url, name)
        if not made:
            store_content(url)
            file = folder / f"{name}.ndjson"
            tasks(steps, due, file)
            load(url, file)
            if engine == "postgresql":
                execute(url, "VACUUM ANALYZE")
        measure(engine, url, folder, f"{steps} open steps")


def measure(engine: str, url: str, folder: Path, what: str) -> None:
    last = folder / f"{engine}-{what.partition(' ')[0]}.day"
    day = date.fromisoformat(last.read_text()) if last.exists() else FIRST
    clock = folder / "clock"
    clock.write_text(f"{day}T12:00:00+00:00")
    generated = [one for one in generate(8, resources=1000) if one["resourceType"] != "Consent"]
    creates = [
        http_request("POST", f"/fhir/{one['resourceType']}", orjson.dumps({k: v for k, v in one.items() if k != "id"}))
        for one in generated
    ]
    with running_server(url, folder, "--clock", str(clock), "--jobs-seconds", "0.2") as server:
        _told(server, 1)
        quiet = steady(server.port, creates, RATE, SECONDS)
        inside = _beside(server, creates, lambda: _within(server, clock, day + timedelta(days=1)))
        beside = _beside(server, creates, lambda: _command(url, folder, day + timedelta(days=2)))
        again = _beside(server, creates, lambda: _command(url, folder, day + timedelta(days=2)))
    last.write_text((day + timedelta(days=2)).isoformat())
    print(f"{engine}, {what}: creates p50/p99 {_latency(quiet)} alone", flush=True)
    for name, (said, seconds, busy) in (("in serve", inside), ("jobs run", beside), ("again", again)):
        ratio = busy.latency_ms(99) / quiet.latency_ms(99)
        print(f"  {name}: {said} in {seconds:.1f} s, creates p50/p99 {_latency(busy)} beside it ({ratio:.1f}x)")


Result = tuple[str, float, Load]


def _beside(server: LiveServer, creates: list[bytes], work: Callable[[], str]) -> Result:
    """What `work` says, how long it took, and the creates that were sent meanwhile."""
    found: list[tuple[str, float]] = []

    def timed() -> None:
        started = time.monotonic()
        said = work()
        found.append((said, time.monotonic() - started))

    running = threading.Thread(target=timed)
    running.start()
    busy = steady(server.port, creates, RATE, SECONDS)
    running.join()
    return *found[0], busy


def _within(server: LiveServer, clock: Path, day: date) -> str:
    runs = len(_runs(server))
    clock.write_text(f"{day}T12:00:00+00:00")
    return _told(server, runs + 1)


def _told(server: LiveServer, runs: int) -> str:
    while len(_runs(server)) < runs:
        time.sleep(0.05)
    return _runs(server)[-1]


def _runs(server: LiveServer) -> list[str]:
    lines = [line for line in server.log.read_text().splitlines() if "jobs run" in line]
    return [", ".join(re.findall(r"(?:opened|closed|reminders)\W+\d+", line)).replace('"', "") for line in lines]


def _command(url: str, folder: Path, day: date) -> str:
    clock = folder / "clock-of-command"
    clock.write_text(f"{day}T12:00:00+00:00")
    command = [sys.executable, "-m", "fhir_server.cli.main", "jobs", "run", "--database", url, "--clock", str(clock)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _latency(load_: Load) -> str:
    return f"{load_.latency_ms(50):.1f}/{load_.latency_ms(99):.1f} ms"


if __name__ == "__main__":
    place, *more = sys.argv[1:]
    numbers = [int(text) for text in more[:2]]
    main(
        Path(place),
        numbers[0] if numbers else 1_000_000,
        numbers[1] if len(numbers) > 1 else 20_000,
        more[2:] or ["sqlite", "postgresql"],
    )
