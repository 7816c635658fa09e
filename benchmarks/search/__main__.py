"""Measure the searches of docs/benchmarks.md: python -m benchmarks.search [--size N ...] [--engine NAME]

The databases are loaded once and kept in --folder. Writes search.json and search.md to --output and prints the tables;
exit status 1 when a search finds something else than it must, or reads a table from one end to the other.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.search.ingest import measure_ingest
from benchmarks.search.measure import measure
from benchmarks.search.prepared import ENGINES, Database, Shelf
from benchmarks.search.queries import SEARCHES, Search
from benchmarks.search.report import Results, failures, markdown
from tests.live_server import running_server

SIZES = (10_000, 100_000, 1_000_000)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--size", type=int, nargs="+", default=SIZES, help="resources stored")
    parser.add_argument("--engine", choices=ENGINES, action="append", help="only this engine; may be repeated")
    parser.add_argument("--search", action="append", help="only searches whose name contains this; may be repeated")
    parser.add_argument("--seconds", type=float, default=10, help="length of one run")
    parser.add_argument("--runs", type=int, default=1, help="runs of each search; medians are reported")
    parser.add_argument("--no-ingest", action="store_true", help="do not measure storing more")
    parser.add_argument("--keep", action="store_true", help="take kept databases whatever this version would store")
    parser.add_argument("--folder", type=Path, default=Path("var/search"), help="folder of the kept databases")
    parser.add_argument("--output", type=Path, default=Path("var/benchmarks"), help="folder for the results")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    searches = [one for one in SEARCHES if not options.search or any(text in one.name for text in options.search)]
    shelf = Shelf(options.folder, keep=options.keep)
    results = Results()
    with TemporaryDirectory(prefix="fhir-bench-") as name:
        for engine in options.engine or ENGINES:
            for size in options.size:
                database = shelf.database(engine, size)
                results.searches[engine, size] = {}
                _measure_searches(shelf, database, searches, Path(name), results, options)
                if not options.no_ingest:
                    results.ingested[engine, size] = measure_ingest(shelf, database, Path(name), options.seconds)
                _write(results, options.output)
    print(markdown(results))
    failed = failures(results)
    for failure in failed:
        print(failure, file=sys.stderr)
    return 1 if failed else 0


def _measure_searches(
    shelf: Shelf,
    database: Database,
    searches: list[Search],
    directory: Path,
    results: Results,
    options: argparse.Namespace,
) -> None:
    postgres = shelf.postgres_pid() if database.engine == "postgresql" else None
    with running_server(database.url, directory) as server:
        for search in searches:
            print(f"{database.engine}, {database.size:,}: {search.name}", file=sys.stderr, flush=True)
            measured = measure(search, server, database, postgres, seconds=options.seconds, runs=options.runs)
            results.searches[database.engine, database.size][search.name] = measured
            _write(results, options.output)


def _write(results: Results, output: Path) -> None:
    plain = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "searches": {
            f"{engine} {size}": {name: asdict(one) for name, one in measured.items()}
            for (engine, size), measured in results.searches.items()
        },
        "ingested": {f"{engine} {size}": asdict(one) for (engine, size), one in results.ingested.items()},
    }
    (output / "search.json").write_text(json.dumps(plain, indent=2))
    (output / "search.md").write_text(markdown(results) + "\n")


if __name__ == "__main__":
    sys.exit(main())
