"""R4's own invariants, which a write does not evaluate (R4 conformance-rules.html#constraints)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server import spec
from fhir_server.content_check.finding import Fault, Path
from fhir_server.content_check.walk import Node
from fhir_server.fhirpath import EvaluationError, compile  # noqa: A004

_OF_EVERY_RESOURCE = "dom-"
"""Contained resources and narrative: the structure rule looks at them."""
_NEVER_TRUE = "que-7"
"""It asks whether FHIR's boolean is FHIRPath's own Boolean, which it is not (N1, models)."""


def invariant_faults(resource: dict[str, Any], elements: Sequence[Node]) -> Iterator[Fault]:
    """Those of severity error that do not hold, of one artefact."""
    kind = resource["resourceType"]
    yield from _broken(resource, (), kind, resource)
    for node in elements:
        if isinstance(node.value, dict):
            yield from _broken(node.value, node.path, node.type_name, resource)


def _broken(value: dict[str, Any], path: Path, type_name: str, resource: dict[str, Any]) -> Iterator[Fault]:
    root = type_name.partition(".")[0]
    if not spec.is_type(root):
        return
    for key, severity, expression in spec.structure(root).elements[type_name].invariants:
        if severity == "error" and key != _NEVER_TRUE and not key.startswith(_OF_EVERY_RESOURCE):
            try:
                found = compile(expression).evaluate(
                    value, {"resource": resource, "rootResource": resource}, type_name=type_name
                )
            except EvaluationError as error:
                found = [f"it cannot be evaluated: {error}"]
            if found not in ([True], []):
                yield Fault(path, f"R4's rule {key} does not hold: {expression}")
