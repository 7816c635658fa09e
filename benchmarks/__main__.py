"""Measure every figure on both engines: python -m benchmarks [--resources N] [--runs N] [--engine NAME] (make bench)

Writes results.json, table.md and the plans of the main searches to --output, and prints the table.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

from benchmarks.cases import CASES, measure
from benchmarks.database import analyse, fresh_database, index_rows, size_bytes, store_content
from benchmarks.floors import measure_floors
from benchmarks.plans import search_plans
from benchmarks.process import resident_bytes
from benchmarks.report import ENGINES, markdown
from benchmarks.workload import PAGE, Workload, plan_targets, search_targets, write_workload
from tests.live_server import running_server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--resources", type=int, default=100_000, help="resources loaded before measuring")
    parser.add_argument("--seconds", type=float, default=5, help="length of one run")
    parser.add_argument("--runs", type=int, default=3, help="runs of each case; medians are reported")
    parser.add_argument("--engine", choices=ENGINES, action="append", help="only this engine; may be repeated")
    parser.add_argument("--output", type=Path, default=Path("var/benchmarks"), help="folder for the results")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="fhir-bench-") as name:
        directory = Path(name)
        workload = write_workload(directory / "msk.ndjson", options.resources)
        results: dict[str, Any] = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            "resources": workload.resources,
            "bytes_of_json_per_resource": workload.bytes / workload.resources,
            "floors": measure_floors(directory, min(options.seconds, 2)),
            "engines": {},
        }
        for engine in options.engine or ENGINES:
            with fresh_database(engine) as url:
                measured, plans = measure_engine(url, workload, directory, options.seconds, options.runs)
            results["engines"][engine] = measured
            (options.output / f"plans-{engine}.txt").write_text(plans)
    (options.output / "results.json").write_text(json.dumps(results, indent=2))
    table = markdown(results)
    (options.output / "table.md").write_text(table + "\n")
    print(table)


def measure_engine(
    url: str, workload: Workload, directory: Path, seconds: float, runs: int
) -> tuple[dict[str, Any], str]:
    """All figures of one engine, and the plans of its searches."""
    store_content(url)
    empty = load_file(url, directory / "empty.ndjson", content=b"")
    loading = load_file(url, workload.file)
    analyse(url)
    size = size_bytes(url)
    rows = index_rows(url)
    plans = search_plans(url, plan_targets(workload))
    started = time.perf_counter()
    with running_server(url, directory) as server:
        ready = time.perf_counter() - started
        check_search(server.root_url + search_targets(workload)[0])
        idle = resident_bytes(server.pid)
        cases = {case.name: asdict(measure(case, server, workload, seconds=seconds, runs=runs)) for case in CASES}
        loaded = resident_bytes(server.pid)
        for case in CASES:
            measure(case, server, workload, seconds=seconds, runs=1)
        again = resident_bytes(server.pid)
    return {
        "cases": cases,
        "load_per_second": workload.resources / loading,
        "load_start_seconds": empty,
        "bytes_per_resource": size / workload.resources,
        "index_rows_per_resource": {table: count / workload.resources for table, count in rows.items()},
        "memory_idle": idle,
        "memory_loaded": loaded,
        "memory_loaded_again": again,
        "ready_seconds": ready,
    }, plans


def load_file(url: str, file: Path, content: bytes | None = None) -> float:
    """Seconds that `fhir-server load` takes, start of the process included."""
    if content is not None:
        file.write_bytes(content)
    started = time.perf_counter()
    command = [sys.executable, "-m", "fhir_server.cli.main", "load", str(file), "--database", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"load failed ({done.returncode}): {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - started


def check_search(url: str) -> None:
    """The measured search must find what it is meant to find."""
    with urlopen(url) as answer:
        found = len(json.load(answer).get("entry", []))
    if found != PAGE:
        raise RuntimeError(f"{url} gave {found} entries, not {PAGE}")


if __name__ == "__main__":
    main()
