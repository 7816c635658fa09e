"""What scoring costs: one response in process and over HTTP, files from the command line: python -m benchmarks.scoring

CPU as the kernel counts it. Rates are per core: responses by seconds of CPU of the one process that scores.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.client import drive_in_process, http_request
from benchmarks.database import fresh_database
from benchmarks.process import cpu_seconds
from benchmarks.report import ENGINES
from fhir_server.instruments.batch import BatchScorer
from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.definition import NOT_APPLICABLE, Instrument
from fhir_server.instruments.evaluation import evaluate
from fhir_server.instruments.quick import quick_readings
from fhir_server.instruments.scoring import score_response
from fhir_server.model.json import encode, parse
from tests.instruments.responses import BASE, answered
from tests.live_server import running_server

NOW = datetime.now(UTC)
CATALOGUE = shipped(BASE)
INSTRUMENTS = {"oks": "sum of 12", "koos-jr": "table", "koos": "five means of 42", "eq-5d-5l": "six scores, tables"}
TIMES = 5_000
FILES = {"oks": "sum type", "koos-jr": "table type", "promis-global-10": "table type, 4 scores"}


def random_response(instrument: Instrument, choice: random.Random, number: int) -> dict[str, Any]:
    """A complete response with answers at random."""
    answers = {}
    for link_id, item in instrument.items.items():
        if item.type == "choice":
            answers[link_id] = choice.choice([value for value in item.options.values() if value is not NOT_APPLICABLE])
        elif item.type:
            answers[link_id] = choice.randint(int(item.low or 0), int(item.high or 10))
    return {**answered(instrument.id, answers), "id": f"r{number}"}


def microseconds(act: Callable[[], object]) -> float:
    act()
    started = time.process_time()
    for _ in range(TIMES):
        act()
    return (time.process_time() - started) / TIMES * 1e6


def in_process() -> None:
    print("| one response, in process, µs | read | reckon | $score's function | as Observations |")
    print("|---|---:|---:|---:|---:|")
    batch = BatchScorer(CATALOGUE, NOW)
    for instrument_id, kind in INSTRUMENTS.items():
        instrument = CATALOGUE.instrument(instrument_id)
        response = parse(encode(random_response(instrument, random.Random(1), 1)), max_depth=100)
        readings = quick_readings(instrument, response, NOW)
        if readings is None:
            raise RuntimeError(f"{instrument_id}: a right response was not read quickly")
        figures = [
            microseconds(partial(quick_readings, instrument, response, NOW)),
            microseconds(partial(evaluate, instrument, readings)),
            microseconds(partial(score_response, instrument, response, now=NOW)),
            microseconds(partial(_encoded_observations, batch, response)),
        ]
        print(f"| {instrument_id}, {kind} | {' | '.join(f'{figure:.1f}' for figure in figures)} |")


def _encoded_observations(batch: BatchScorer, response: dict[str, Any]) -> bytes:
    return encode(batch.observations(response))


def files(count: int) -> None:
    print(f"\n| {count:,} responses of a file | responses/s per core | as Observations/s per core | memory, MB |")
    print("|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for instrument_id, kind in FILES.items():
            path = Path(folder) / f"{instrument_id}.ndjson"
            instrument = CATALOGUE.instrument(instrument_id)
            choice = random.Random(7)
            with path.open("wb") as file:
                for number in range(count):
                    file.write(encode(random_response(instrument, choice, number)) + b"\n")
            rows, memory = _run([str(path)], folder)
            whole, _ = _run(["--observations", str(path)], folder)
            print(f"| {instrument_id}, {kind} | {count / rows:,.0f} | {count / whole:,.0f} | {memory:.0f} |")


def _run(arguments: list[str], folder: str) -> tuple[float, float]:
    """CPU seconds, start of the program included, and the most memory (MB)."""
    probe = (
        "import resource, sys; from fhir_server.cli.main import main; status = main(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); sys.exit(status)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with (Path(folder) / "out").open("wb") as out:
        done = subprocess.run(
            [sys.executable, "-c", probe, "score", *arguments], stdout=out, stderr=subprocess.PIPE, check=True
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    memory = int(done.stderr.split()[-1]) / 1024
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, memory


def over_http(seconds: float) -> None:
    print("\n| $score of one response over HTTP, inline | server CPU, µs | answers/s | p50, ms |")
    print("|---|---:|---:|---:|")
    choice = random.Random(3)
    for engine in ENGINES:
        with (
            fresh_database(engine) as database,
            tempfile.TemporaryDirectory() as folder,
            running_server(database, Path(folder)) as server,
        ):
            for instrument_id in INSTRUMENTS:
                instrument = CATALOGUE.instrument(instrument_id)
                requests = [
                    http_request(
                        "POST",
                        "/fhir/QuestionnaireResponse/$score",
                        encode(random_response(instrument, choice, number)),
                    )
                    for number in range(200)
                ]
                drive_in_process(server.port, requests, 8, 1.0)
                before = cpu_seconds(server.pid)
                load = drive_in_process(server.port, requests, 8, seconds)
                spent = cpu_seconds(server.pid) - before
                load.refuse_failures(f"$score of {instrument_id}")
                cpu = spent / load.requests * 1e6
                print(
                    f"| {instrument_id}, {engine} | {cpu:.0f} | {load.per_second():,.0f} | {load.latency_ms(50):.2f} |"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--responses", type=int, default=100_000, help="in each file")
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    in_process()
    files(arguments.responses)
    over_http(arguments.seconds)


if __name__ == "__main__":
    main()
