"""Environment variables (N1 environment-variables; R4 fhirpath.html#variables)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fhir_server.fhirpath.ast import External
from fhir_server.fhirpath.code import Code, constant
from fhir_server.fhirpath.evaluation import Evaluation, EvaluationError
from fhir_server.fhirpath.node import Item, Node
from fhir_server.fhirpath.quantity import Quantity
from fhir_server.fhirpath.temporal import Temporal
from fhir_server.fhirpath.types import fhir_type, type_of_resource
from fhir_server.fhirpath.values import UCUM

if TYPE_CHECKING:
    from fhir_server.fhirpath.compiler import Compiler

_FIXED = {"sct": "http://snomed.info/sct", "loinc": "http://loinc.org", "ucum": UCUM}
_PREFIXED = {"vs-": "http://hl7.org/fhir/ValueSet/", "ext-": "http://hl7.org/fhir/StructureDefinition/"}
CONTEXTUAL = frozenset(("resource", "rootResource", "context"))
RESERVED = frozenset((*_FIXED, *CONTEXTUAL))
"""Names no expression may define anew."""


def external(compiler: Compiler, node: External) -> Code:
    name = node.name
    if name in _FIXED:
        return constant(_FIXED[name], "string")
    for prefix, base in _PREFIXED.items():
        if name.startswith(prefix):
            return constant(base + name.removeprefix(prefix), "string")
    if name in CONTEXTUAL:
        return _contextual(compiler, name)

    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        variables = evaluation.variables
        if variables is None or name not in variables:
            raise EvaluationError(f"The variable %{name} is not defined").placed(node.position)
        return as_items(variables[name])

    return Code(None, items=run)


def _contextual(compiler: Compiler, name: str) -> Code:
    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        variables = evaluation.variables
        if variables is not None and name in variables:
            return as_items(variables[name])
        if name == "context":
            return [evaluation.root]
        resource = evaluation.root.resource
        if name == "rootResource":
            while resource.parent is not None:
                resource = resource.parent.resource
        return [resource]

    root = compiler.root
    if compiler.overrides or not root.raw or root.types is None or not root.types[0].is_resource:
        return Code(root.types if name == "context" else None, items=run)
    return Code(root.types, raw=lambda evaluation, this: [evaluation.root.value], items=run)


def as_items(value: Any) -> list[Item]:
    """A caller's variable as a collection: JSON values, System values, nodes, or a list of them."""
    if value is None:
        return []
    if type(value) is list:
        return [item for each in value for item in as_items(each)]
    if type(value) is dict:
        if "resourceType" in value:
            return [Node(value, type_of_resource(value))]
        return [Node(value, fhir_type("Element"))]
    if type(value) is float:
        return [Decimal(repr(value))]
    if type(value) in (Node, str, bool, int, Decimal, Temporal, Quantity):
        return [value]
    raise EvaluationError(f"A variable cannot be a {type(value).__name__}")
