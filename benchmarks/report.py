"""The results as a table that goes into docs/benchmarks.md as it is."""

from __future__ import annotations

from typing import Any

from benchmarks.cases import CASES

ENGINES = ("sqlite", "postgresql")


def markdown(results: dict[str, Any]) -> str:
    engines = [engine for engine in ENGINES if engine in results["engines"]]
    lines = [
        "| figure | " + " | ".join(f"{engine} | target" for engine in engines) + " |",
        "|---|" + "---:|---:|" * len(engines),
    ]
    for label, value, target in _figures():
        cells = []
        for place, engine in enumerate(ENGINES):
            if engine in engines:
                cells += [_format(value(results["engines"][engine])), target[place]]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    lines += ["", "Floors: " + "; ".join(f"{name} {_format(value)}" for name, value in results["floors"].items()) + "."]
    return "\n".join(lines)


def _figures() -> list[tuple[str, Any, tuple[str, str]]]:
    figures: list[tuple[str, Any, tuple[str, str]]] = []
    for case in CASES:
        of = _case(case.name)
        limits = tuple(f"{'≤' if case.figure == 'cpu_us' else '≥'} {target:,.0f}" for target in case.targets)
        none = ("", "")
        figures += [
            (f"{case.name}: server CPU, µs", of("cpu_us"), limits if case.figure == "cpu_us" else none),
            (
                f"{case.name}: {'resources' if case.figure == 'rate' else 'answers'}/s",
                of("rate"),
                limits if case.figure == "rate" else none,
            ),
            (f"{case.name}: p50, ms", of("p50_ms"), none),
            (f"{case.name}: p99, ms", of("p99_ms"), none),
        ]
    return [
        *figures,
        ("load of NDJSON, resources/s", lambda engine: engine["load_per_second"], ("≥ 4,000", "≥ 5,000")),
        ("size on disk per resource, bytes", lambda engine: engine["bytes_per_resource"], ("≤ 2,600", "≤ 3,600")),
        ("index rows per resource", lambda engine: sum(engine["index_rows_per_resource"].values()), ("", "")),
        ("memory idle, MB", lambda engine: engine["memory_idle"] / 1e6, ("≤ 150", "≤ 150")),
        ("memory after load, MB", lambda engine: engine["memory_loaded"] / 1e6, ("flat", "flat")),
        ("memory after the same load again, MB", lambda engine: engine["memory_loaded_again"] / 1e6, ("flat", "flat")),
        ("ready after start, s", lambda engine: engine["ready_seconds"], ("≤ 2", "≤ 2")),
    ]


def _case(name: str) -> Any:
    return lambda key: lambda engine: engine["cases"][name][key]


def _format(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
