"""The results as tables that go into docs/benchmarks.md as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.search.ingest import Ingested
from benchmarks.search.measure import CONNECTIONS, RATE, Latency, Measured
from benchmarks.search.prepared import ENGINES
from benchmarks.search.queries import SEARCHES, Search

GROWTH = 1.5
"""Most that p50 may grow by from the smallest size to the largest."""


@dataclass
class Results:
    """By engine and size, then by the search's name."""

    searches: dict[tuple[str, int], dict[str, Measured]] = field(default_factory=dict)
    ingested: dict[tuple[str, int], Ingested] = field(default_factory=dict)

    def sizes(self, engine: str) -> list[int]:
        return sorted(size for of, size in self.searches if of == engine)


def markdown(results: Results) -> str:
    parts = []
    for engine in ENGINES:
        for size in results.sizes(engine):
            parts.append(f"### {engine}, {size:,} resources\n\n{_searches(results.searches[engine, size])}")
    parts += [table for table in (_growth(results), _ingested(results)) if table]
    return "\n\n".join(parts)


def failures(results: Results) -> list[str]:
    """Searches that find something else than they must, or read a table from one end to the other."""
    return [
        f"{name} ({engine}, {size:,}): {what}"
        for (engine, size), measured in results.searches.items()
        for name, one in measured.items()
        for what in [*([one.wrong] if one.wrong else []), *(f"reads all of {scan}" for scan in one.scans)]
    ]


def _searches(measured: dict[str, Measured]) -> str:
    lines = [
        f"| search | p50, p99 at {RATE}/s, ms | target p99 | p50, p99 of {CONNECTIONS} connections, ms | answers/s"
        " | server CPU, µs | database CPU, µs | pages | rows or steps |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for search in SEARCHES:
        if (one := measured.get(search.name)) is not None:
            lines.append(f"| {' | '.join(_row(search, one))} |")
    return "\n".join(lines)


def _row(search: Search, one: Measured) -> Iterator[str]:
    yield search.name
    if one.arriving is None or one.closed is None or one.touched is None:
        said = f"refused: {one.refused}" if one.refused else f"wrong: {one.wrong}"
        yield from (said[:120].replace("|", "/"), "", "", "", "", "", "", "")
        return
    yield _latency(one.arriving)
    yield "" if search.p99_ms is None else f"≤ {search.p99_ms:g}"
    yield _latency(one.closed)
    yield _number(one.closed.per_second)
    yield _number(one.closed.cpu_us)
    yield _number(one.closed.database_us)
    yield _number(one.touched.pages)
    yield _number(one.touched.rows)


def _latency(latency: Latency) -> str:
    text = f"{_number(latency.p50_ms)}, {_number(latency.p99_ms)}"
    return text if latency.kept_up else f"does not keep up ({text})"


def _growth(results: Results) -> str:
    lines = []
    for engine in ENGINES:
        sizes = results.sizes(engine)
        if len(sizes) < 2:
            continue
        small, large = (results.searches[engine, size] for size in (sizes[0], sizes[-1]))
        for search in SEARCHES:
            low, high = (of[search.name].arriving if search.name in of else None for of in (small, large))
            if search.constant and low and high:
                grown = f"{high.p50_ms / low.p50_ms:.2f}"
                cpu = f"{(high.cpu_us + high.database_us) / (low.cpu_us + low.database_us):.2f}"
                p50 = f"{_number(low.p50_ms)} → {_number(high.p50_ms)}"
                lines.append(f"| {search.name} | {engine} | {sizes[0]:,} → {sizes[-1]:,} | {p50} | {grown} | {cpu} |")
    if not lines:
        return ""
    head = f"### Growth\n\n| search | engine | resources | p50 at {RATE}/s, ms | grown (≤ {GROWTH}) | CPU grown |"
    return "\n".join([head, "|---|---|---|---:|---:|---:|", *lines])


def _ingested(results: Results) -> str:
    if not results.ingested:
        return ""
    lines = [
        "### Storing more\n",
        "| engine | resources | load: CPU, µs | database CPU | resources/s"
        " | create: CPU, µs | database CPU | creates/s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (engine, size), one in sorted(results.ingested.items(), key=lambda item: (ENGINES.index(item[0][0]), item[0])):
        figures = (
            one.load_us, one.load_database_us, one.loaded_per_second,
            one.create_us, one.create_database_us, one.created_per_second,
        )  # fmt: skip
        lines.append(f"| {engine} | {size:,} | {' | '.join(map(_number, figures))} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
