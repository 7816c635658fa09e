"""Every FHIRPath compiles, and what it names is there (http://hl7.org/fhirpath/N1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server import spec
from fhir_server.content_check.catalogue import Catalogue
from fhir_server.content_check.finding import Fault, Path
from fhir_server.content_check.literals import literal_faults
from fhir_server.content_check.walk import Node
from fhir_server.errors import FhirError
from fhir_server.fhirpath import EvaluationError, InvalidExpression, compile  # noqa: A004
from fhir_server.fhirpath.ast import External, nodes_of
from fhir_server.fhirpath.parser import parse
from fhir_server.fhirpath.temporal import parse_date
from fhir_server.pathways.expressions import FACTS
from fhir_server.search.custom import parameters_of
from fhir_server.search.registry import R4

FHIRPATH = "text/fhirpath"
OF_PLANS = frozenset({*FACTS, "resource", "rootResource", "context", "ucum", "sct", "loinc"})
"""What an expression of a plan may name with %: the facts of the patient, and FHIRPath's own."""
_NOBODY = {"resourceType": "Patient"}
_EXTENSION = re.compile(r"extension\('(http[^']*)'\)")


def expression_faults(resource: dict[str, Any], elements: Sequence[Node], catalogue: Catalogue) -> Iterator[Fault]:
    """Of one artefact."""
    kind = resource["resourceType"]
    for node in elements:
        if node.type_name == "Expression":
            yield from _expression(kind, node, catalogue)
        elif node.type_name == "ElementDefinition":
            yield from _constraints(resource, node, catalogue)
    if kind == "SearchParameter" and "expression" in resource:
        yield from _search_parameter(resource, catalogue)


def _expression(kind: str, node: Node, catalogue: Catalogue) -> Iterator[Fault]:
    language, text = node.value.get("language"), node.value.get("expression")
    if language != FHIRPATH:
        yield Fault((*node.path, "language"), f"{language} is not carried out here: use {FHIRPATH}.")
    elif text is None:
        yield Fault(node.path, "There is no expression.")
    else:
        path = (*node.path, "expression")
        faults = list(_compiled(text, path, catalogue))
        yield from faults
        if kind in ("PlanDefinition", "ActivityDefinition") and not faults:
            tree = parse(text)
            for name in sorted({one.name for one in nodes_of(tree) if isinstance(one, External)} - OF_PLANS):
                yield Fault(path, f"%{name} is no variable of a plan: {', '.join(sorted(OF_PLANS))}.")
            yield from literal_faults(tree, path, catalogue)
            yield from _evaluated(text, path, "condition" in node.path)


def _evaluated(text: str, path: Path, condition: bool) -> Iterator[Fault]:
    """What fails, or is no condition, even of a patient of whom nothing is known."""
    facts: dict[str, Any] = {name: [] for name in FACTS}
    facts |= {"patient": _NOBODY, "today": parse_date("2026-11-25")}
    try:
        found = compile(text).evaluate(_NOBODY, facts)
    except (InvalidExpression, EvaluationError) as error:
        yield Fault(path, str(error))
        return
    if condition and found and not (len(found) == 1 and isinstance(found[0], bool)):
        yield Fault(path, f"A condition gives true or false; this one gives {found[0]!r}.")


def _compiled(text: str, path: Path, catalogue: Catalogue) -> Iterator[Fault]:
    try:
        compile(text)
    except InvalidExpression as error:
        yield Fault(path, str(error))
    for url in _EXTENSION.findall(text):
        if not catalogue.is_extension(url):
            yield Fault(path, f"No extension {url} is defined.")


def _constraints(resource: dict[str, Any], node: Node, catalogue: Catalogue) -> Iterator[Fault]:
    for n, constraint in enumerate(node.value.get("constraint", ())):
        path = (*node.path, "constraint", n, "expression")
        text = constraint.get("expression")
        if text is None:
            yield Fault((*node.path, "constraint", n), "A constraint without an expression cannot be checked.")
            continue
        faults = list(_compiled(text, path, catalogue))
        yield from faults
        if not faults and node.value.get("path") == resource.get("type") in spec.RESOURCE_TYPES:
            yield from _strict(text, str(resource["type"]), path)


def _strict(text: str, resource_type: str, path: Path) -> Iterator[Fault]:
    """Names that the type does not have, found by evaluating on a resource that has nothing."""
    try:
        compile(text, strict=True).evaluate({"resourceType": resource_type})
    except (InvalidExpression, EvaluationError) as error:
        yield Fault(path, str(error))


def _search_parameter(resource: dict[str, Any], catalogue: Catalogue) -> Iterator[Fault]:
    path: Path = ("expression",)
    faults = list(_compiled(resource["expression"], path, catalogue))
    yield from faults
    if not faults:
        try:
            parameters_of(resource, R4)
        except FhirError as refusal:
            yield Fault(path, str(refusal))
