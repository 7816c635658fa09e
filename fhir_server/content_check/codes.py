"""Every code exists, wherever its code system can be looked up (R4 terminologies.html)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from fhir_server.content_check.catalogue import Catalogue, codes_of
from fhir_server.content_check.finding import Fault, Path
from fhir_server.content_check.walk import Node
from fhir_server.model import ucum

UCUM = "http://unitsofmeasure.org"
_QUANTITIES = ("Quantity", "Duration", "Age", "Count", "Distance")
_NO_TARGET = ("unmatched", "disjoint")


def code_faults(resource: dict[str, Any], elements: Sequence[Node], catalogue: Catalogue) -> Iterator[Fault]:
    """Of one artefact."""
    for node in elements:
        if node.type_name == "Coding" or node.type_name in _QUANTITIES:
            yield from _coded(node, catalogue)
        elif node.type_name == "Extension":
            yield from _extension(node.value, node.path, catalogue, str(node.value.get("url", "")), "")
    kind = resource["resourceType"]
    if kind == "CodeSystem":
        yield from _code_system(resource)
    elif kind == "ValueSet":
        yield from _value_set(resource, catalogue)
    elif kind == "ConceptMap":
        yield from _concept_map(resource, catalogue)


def _coded(node: Node, catalogue: Catalogue) -> Iterator[Fault]:
    system, code = node.value.get("system"), node.value.get("code")
    if code is None:
        return
    if system is None:
        yield Fault((*node.path, "code"), f"The code {code} has no system.")
    elif system == UCUM:
        if ucum.canonical(Decimal(1), str(code)) is None:
            yield Fault((*node.path, "code"), f"{code} is no unit of UCUM.")
    elif fault := catalogue.fault_of_code(str(system), str(code)):
        yield Fault((*node.path, "code"), fault)


def _extension(extension: dict[str, Any], path: Path, catalogue: Catalogue, defined: str, part: str) -> Iterator[Fault]:
    """Codes of an extension of ours by the required binding of its definition."""
    definition = catalogue.shipped(defined)
    if definition is None or definition.get("type") != "Extension":
        return
    code = extension.get("valueCode")
    value_set = _bindings(definition).get(part)
    if code is not None and value_set is not None:
        members = catalogue.members(value_set)
        if members is not None and code not in members:
            yield Fault((*path, "valueCode"), f"{value_set} has no code {code}.")
    for n, inner in enumerate(extension.get("extension", ())):
        name = str(inner.get("url", ""))
        if "/" not in name:
            yield from _extension(inner, (*path, "extension", n), catalogue, defined, f"{part}.{name}")


def _bindings(definition: dict[str, Any]) -> dict[str, str]:
    """Part (empty: the extension itself, `.event`: its part event) -> value set of a required binding."""
    found: dict[str, str] = {}
    for element in definition.get("differential", {}).get("element", ()):
        binding = element.get("binding", {})
        if binding.get("strength") == "required" and str(element.get("id", "")).endswith(".value[x]"):
            parts = element["id"].removeprefix("Extension").removesuffix(".value[x]")
            found[parts.replace(".extension:", ".")] = binding.get("valueSet", "")
    return found


def _code_system(resource: dict[str, Any]) -> Iterator[Fault]:
    codes = codes_of(resource.get("concept", ()))
    for code, times in Counter(codes).items():
        if times > 1:
            yield Fault(("concept",), f"The code {code} is there {times} times.")
    if resource.get("content") == "complete" and resource.get("count", len(codes)) != len(codes):
        yield Fault(("count",), f"count is {resource['count']}, and there are {len(codes)} codes.")


def _value_set(resource: dict[str, Any], catalogue: Catalogue) -> Iterator[Fault]:
    for part in ("include", "exclude"):
        for n, include in enumerate(resource.get("compose", {}).get(part, ())):
            for m, concept in enumerate(include.get("concept", ())):
                fault = catalogue.fault_of_code(str(include.get("system", "")), concept["code"])
                if fault:
                    yield Fault(("compose", part, n, "concept", m, "code"), fault)


def _concept_map(resource: dict[str, Any], catalogue: Catalogue) -> Iterator[Fault]:
    for n, group in enumerate(resource.get("group", ())):
        mapped = Counter(element.get("code") for element in group.get("element", ()))
        for m, element in enumerate(group.get("element", ())):
            path: Path = ("group", n, "element", m)
            if mapped[element.get("code")] > 1:
                yield Fault(path, f"{element.get('code')} is mapped {mapped[element.get('code')]} times.")
            yield from _mapped(group.get("source"), element.get("code"), path, catalogue)
            for k, target in enumerate(element.get("target", ())):
                if target.get("equivalence") not in _NO_TARGET or "code" in target:
                    yield from _mapped(group.get("target"), target.get("code"), (*path, "target", k), catalogue)


def _mapped(system: str | None, code: str | None, path: Path, catalogue: Catalogue) -> Iterator[Fault]:
    if system is None or code is None:
        yield Fault(path, "A mapped code needs its system and itself.")
    elif fault := catalogue.fault_of_code(system, code):
        yield Fault((*path, "code"), fault)
