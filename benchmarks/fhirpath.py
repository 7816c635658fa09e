"""FHIRPath against fhirpathpy, and search extraction: `python -m benchmarks.fhirpath`.

Both engines evaluate the same compiled expressions on the same R4 examples in one process, one after the other; what
fhirpathpy cannot evaluate is left out of both sums. The examples are those of tests/data, one of each type.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import fhirpathpy
from fhirpathpy.models import models

from fhir_server import fhirpath, spec
from fhir_server.fhirpath.node import Node, children
from fhir_server.fhirpath.parser import parse
from fhir_server.fhirpath.types import type_of_resource
from fhir_server.search.extract import extract
from fhir_server.synthetic.population import generate
from tests.r4_examples import example, example_texts

Run = Callable[[], Any]
ITEMS = 14
ROUNDS = 5


class Nowhere(StringIO):
    """fhirpathpy prints what `trace()` sees; writing it out is not counted."""

    def write(self, text: str) -> int:
        return len(text)


def seconds(run: Run, rounds: int = ROUNDS) -> float:
    """The best processor time of some rounds, each long enough for the clock."""
    started = time.thread_time()
    run()
    number = max(1, int(0.0005 / max(time.thread_time() - started, 1e-7)))
    best = float("inf")
    for _ in range(rounds):
        started = time.thread_time()
        for _ in range(number):
            run()
        best = min(best, (time.thread_time() - started) / number)
    return best


def examples() -> list[dict[str, Any]]:
    """One of each type: the largest below 20,000 characters."""
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    for file, text in example_texts().items():
        resource = example(file)
        size = found.get(resource.get("resourceType", ""), (0, {}))[0]
        if size < len(text) < 20_000 and resource.get("resourceType") in spec.RESOURCE_TYPES:
            found[resource["resourceType"]] = (len(text), resource)
    return [resource for _, resource in found.values()]


def without_decimals(value: Any) -> Any:
    """fhirpathpy takes the JSON that Python's json gives."""
    if isinstance(value, dict):
        return {key: without_decimals(child) for key, child in value.items()}
    if isinstance(value, list):
        return [without_decimals(child) for child in value]
    return value if isinstance(value, bool | int | str) or value is None else float(value)


def searches() -> Iterator[tuple[Run, Run]]:
    for resource in examples():
        other = without_decimals(resource)
        for parameter in spec.search_parameters(resource["resourceType"]).values():
            if parameter.expression:
                yield from _pair(parameter.expression, resource, other, resource["resourceType"], None)


def invariants() -> Iterator[tuple[Run, Run]]:
    for resource in examples():
        stack: list[Any] = [Node(resource, type_of_resource(resource))]
        while stack:
            node = stack.pop()
            stack += children(node)
            name = node.type.name
            for _, _, text in spec.structure(name.partition(".")[0]).elements[name].invariants:
                if isinstance(node.value, dict):
                    yield from _pair(text, node.value, without_decimals(node.value), name, resource)


def _pair(
    text: str, value: dict[str, Any], other: dict[str, Any], type_name: str, resource: dict[str, Any] | None
) -> Iterator[tuple[Run, Run]]:
    options: dict[str, Any] = {} if "resourceType" in value else {"type_name": type_name}
    # Both engines know %resource where they are given the resource itself.
    variables = {"resource": resource, "rootResource": resource} if options and "%r" in text else None
    ours = fhirpath.compile(text)
    base: Any = text if not options else {"base": type_name, "expression": text}
    try:
        theirs = fhirpathpy.compile(base, models["r4"])
        given = {name: without_decimals(each) for name, each in (variables or {}).items()}
        with redirect_stdout(Nowhere()):
            theirs(other, given)
        ours.evaluate(value, variables, **options)
    except Exception:
        return
    yield lambda: ours.evaluate(value, variables, **options), lambda: theirs(other, given)


def scores() -> Iterator[tuple[str, Run, Run]]:
    response = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "item": [{"linkId": f"q{n}", "answer": [{"valueInteger": n % 5}]} for n in range(1, ITEMS + 1)],
    }
    by_item = " + ".join(f"item.where(linkId = 'q{n}').answer.value" for n in range(1, ITEMS + 1))
    for name, text in (
        ("sum of 14 items by linkId", by_item),
        ("aggregate over 14 items", "item.answer.value.ofType(integer).aggregate($this + $total, 0)"),
        ("the same without the type", "item.answer.value.aggregate($this + $total, 0)"),
    ):
        ours, theirs = fhirpath.compile(text), fhirpathpy.compile(text, models["r4"])
        assert ours.evaluate(response) == theirs(response)
        yield name, (lambda run=ours: run.evaluate(response)), (lambda run=theirs: run(response))


def compare(name: str, pairs: list[tuple[Run, Run]]) -> None:
    ours = [seconds(run) for run, _ in pairs]
    with redirect_stdout(Nowhere()):
        theirs = [seconds(run, rounds=2) for _, run in pairs]
    each = statistics.median(t / o for o, t in zip(ours, theirs, strict=True))
    micros = [sum(times) / len(times) * 1e6 for times in (ours, theirs)]
    ratio = sum(theirs) / sum(ours)
    print(
        f"| {name} | {len(pairs)} | {micros[0]:.2f} | {micros[1]:.1f} | {ratio:.0f}x | {each:.0f}x |",
        flush=True,
    )


def parse_times() -> list[float]:
    """Parse and first compilation of every expression of R4, uncached."""
    texts = {
        text
        for name in spec.RESOURCE_TYPES
        for text in (
            *(parameter.expression for parameter in spec.search_parameters(name).values()),
            *(text for element in spec.structure(name).elements.values() for _, _, text in element.invariants),
        )
        if text
    }
    times = []
    for text in sorted(texts):
        best = float("inf")
        for _ in range(3):
            fhirpath.compile.cache_clear()
            parse.cache_clear()
            started = time.thread_time()
            fhirpath.compile(text)
            best = min(best, time.thread_time() - started)
        times.append(best)
    return times


def extraction() -> None:
    by_type: dict[str, list[dict[str, Any]]] = {}
    for resource in generate(1, patients=50):
        by_type.setdefault(resource["resourceType"], []).append(resource)
    print("\n| fused search extraction | resources | µs each |\n|---|---|---|")
    for name, resources in sorted(by_type.items()):
        took = seconds(lambda found=resources: [extract(resource) for resource in found])
        print(f"| {name} | {len(resources)} | {took / len(resources) * 1e6:.1f} |", flush=True)


def main() -> None:
    times = parse_times()
    print(f"parse and compile, {len(times)} expressions of R4: ", end="")
    print(f"median {statistics.median(times) * 1e3:.3f} ms, longest {max(times) * 1e3:.3f} ms\n")
    print("| what | evaluations | µs each | fhirpathpy µs | whole | median |\n|---|---|---|---|---|---|")
    compare("search expressions of R4", list(searches()))
    compare("invariants of R4", list(invariants()))
    for name, ours, theirs in scores():
        compare(name, [(ours, theirs)])
    extraction()


if __name__ == "__main__":
    main()
