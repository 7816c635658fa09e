"""Differentials of StructureDefinitions against R4's own definitions (R4 profiling.html, elementdefinition.html)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server import spec
from fhir_server.content_check.finding import Fault, Path

CORE = "http://hl7.org/fhir/StructureDefinition/"
_SLICE = re.compile(r":[^.]*")
_VALUE = re.compile(r"(fixed|pattern|minValue|maxValue)([A-Z]\w*)")
Json = dict[str, Any]


def element_faults(resource: Json) -> Iterator[Fault]:
    """Of one StructureDefinition; nothing of other artefacts."""
    if resource["resourceType"] != "StructureDefinition":
        return
    type_name = str(resource["type"])
    if not spec.is_type(type_name):
        yield Fault(("type",), f"R4 has no type {type_name}.")
        return
    if "snapshot" in resource:
        yield Fault(("snapshot",), "Ship the differential alone: a snapshot repeats R4.")
    if resource.get("baseDefinition") != f"{CORE}{type_name}" and resource.get("derivation") == "constraint":
        yield Fault(("baseDefinition",), f"The base is R4's own {CORE}{type_name} (docs/content.md).")
    yield from _contexts(resource)
    elements = resource.get("differential", {}).get("element", [])
    if not elements:
        yield Fault(("differential",), "There is no element in the differential.")
    for n, element in enumerate(elements):
        path: Path = ("differential", "element", n)
        yield from _element(element, elements[:n], type_name, path)
    yield from _repeated(elements)
    yield from _order(elements, type_name)
    if type_name == "Extension":
        yield from _own_url(resource, elements)


def base_elements(path: str) -> list[spec.Element]:
    """R4's definitions at `path`, one for each type a choice on the way may be of; empty when there is none."""
    type_name, *names = path.split(".")
    if not spec.is_type(type_name):
        return []
    root = spec.structure(type_name).elements[type_name]
    found: list[tuple[str, spec.Element]] = [(type_name, root)]
    for name in names:
        found = [
            (f"{start}.{name}", child)
            for place, element in found
            for start in _starts(place, element)
            if (child := spec.structure(start.partition(".")[0]).elements.get(f"{start}.{name}"))
        ]
    return [element for _, element in found]


def _starts(place: str, element: spec.Element) -> list[str]:
    """Where the children of an element are defined."""
    if element.content:
        return [element.content]
    own = [one for one in element.types if one in ("BackboneElement", "Element")]
    if not element.types or (own and place in spec.structure(place.partition(".")[0]).children):
        return [place]
    return [one for one in element.types if spec.is_type(one)]


def _element(element: Json, before: Sequence[Json], type_name: str, path: Path) -> Iterator[Fault]:
    place, identity = str(element.get("path", "")), str(element.get("id", ""))
    base = base_elements(place)
    if not base or place.partition(".")[0] != type_name:
        yield Fault((*path, "path"), f"R4 has no element {place}.")
        return
    if _SLICE.sub("", identity) != place:
        yield Fault((*path, "id"), f"The id is the path with slice names: {identity} does not go with {place}.")
    yield from _slice(element, before, path)
    yield from _cardinality(element, base[0], path)
    yield from _types(element, base, path)
    yield from _values(element, base, path)
    yield from _discriminators(element, place, path)
    for n, constraint in enumerate(element.get("constraint", ())):
        for wanted in ("key", "severity", "human"):
            if wanted not in constraint:
                yield Fault((*path, "constraint", n), f"The constraint has no {wanted}.")


def _slice(element: Json, before: Sequence[Json], path: Path) -> Iterator[Fault]:
    identity, place = str(element.get("id", "")), str(element["path"])
    last = identity.rpartition(".")[2]
    name = last.partition(":")[2]
    if element.get("sliceName", "") != name:
        yield Fault((*path, "sliceName"), f"The id says the slice is {name or 'none'}.")
    parent = identity.rpartition(".")[0]
    known = {str(one.get("id")) for one in before}
    if ":" in parent and parent not in known:
        yield Fault((*path, "id"), f"The slice {parent} is not defined before this element.")
    if not name or "[x]" in last:
        return
    sliced = identity.rpartition(":")[0]
    if not any(one.get("id") == sliced and "slicing" in one for one in before):
        yield Fault((*path, "sliceName"), f"{place} has no slicing before its slice {name}.")


def _cardinality(element: Json, base: spec.Element, path: Path) -> Iterator[Fault]:
    low, high = element.get("min"), element.get("max")
    if low is not None and "sliceName" not in element and low < base.min:
        yield Fault((*path, "min"), f"R4 asks for {base.min} at least.")
    if high is not None and _many(high) > _many(base.max):
        yield Fault((*path, "max"), f"R4 allows {base.max} at most.")
    least, most = low if low is not None else 0, _many(high if high is not None else base.max)
    if least > most:
        yield Fault((*path, "min"), "min is more than max.")


def _many(maximum: str) -> float:
    return float("inf") if maximum == "*" else int(maximum)


def _types(element: Json, base: Sequence[spec.Element], path: Path) -> Iterator[Fault]:
    allowed = {name for one in base for name in one.types}
    for n, declared in enumerate(element.get("type", ())):
        if declared["code"] not in allowed:
            yield Fault((*path, "type", n, "code"), f"R4 allows {', '.join(sorted(allowed))}.")
        targets = {name for one in base for name in one.targets} - {"Resource"}
        for m, target in enumerate(declared.get("targetProfile", ())):
            name = target.removeprefix(CORE)
            if target.startswith(CORE) and targets and name not in targets:
                yield Fault((*path, "type", n, "targetProfile", m), f"R4 allows {', '.join(sorted(targets))}.")


def _values(element: Json, base: Sequence[spec.Element], path: Path) -> Iterator[Fault]:
    allowed = {name for one in base for name in one.types}
    for key, value in element.items():
        found = _VALUE.fullmatch(key)
        if not found:
            continue
        given = found[2]
        if not {given, given[0].lower() + given[1:]} & allowed:
            yield Fault((*path, key), f"The element is of type {', '.join(sorted(allowed))}, not {given}.")
        codes = spec.codes(base[0].binding) if base[0].binding and given == "Code" else None
        if codes and not any(value in of for of in codes.values()):
            yield Fault((*path, key), f"{value} is not in {base[0].binding}.")
    if base[0].binding and element.get("binding", {}).get("strength", "required") != "required":
        yield Fault((*path, "binding", "strength"), "R4's binding is required and stays so.")


def _discriminators(element: Json, place: str, path: Path) -> Iterator[Fault]:
    slicing = element.get("slicing")
    if slicing is None:
        return
    if not slicing.get("discriminator"):
        yield Fault((*path, "slicing"), "The slicing needs a discriminator, or nobody can tell the slices apart.")
    for n, discriminator in enumerate(slicing.get("discriminator", ())):
        where = discriminator["path"]
        if where != "$this" and not base_elements(f"{place}.{where.replace('.resolve()', '')}"):
            yield Fault((*path, "slicing", "discriminator", n, "path"), f"{place} has no element {where}.")


def _repeated(elements: Sequence[Json]) -> Iterator[Fault]:
    ids = Counter(element.get("id") for element in elements)
    keys = Counter(constraint.get("key") for element in elements for constraint in element.get("constraint", ()))
    for n, element in enumerate(elements):
        if ids[element.get("id")] > 1:
            yield Fault(("differential", "element", n, "id"), f"The id {element.get('id')} is there twice.")
        for m, constraint in enumerate(element.get("constraint", ())):
            if keys[constraint.get("key")] > 1:
                place: Path = ("differential", "element", n, "constraint", m, "key")
                yield Fault(place, f"The key {constraint.get('key')} is there twice.")


def _order(elements: Sequence[Json], type_name: str) -> Iterator[Fault]:
    """The differential goes through the elements in the order of the type (R4 profiling.html)."""
    positions = {name: n for n, name in enumerate(spec.structure(type_name).children.get(type_name, {}))}
    furthest = -1
    for n, element in enumerate(elements):
        names = str(element.get("path", "")).split(".")
        position = positions.get(names[1], furthest) if len(names) > 1 else -1
        if position < furthest:
            yield Fault(("differential", "element", n), f"{names[1]} comes before the elements above it.")
        furthest = max(furthest, position)


def _contexts(resource: Json) -> Iterator[Fault]:
    if resource.get("type") == "Extension" and not resource.get("context"):
        yield Fault((), "An extension says where it may stand: context.")
    for n, context in enumerate(resource.get("context", ())):
        if context.get("type") == "element" and not base_elements(context["expression"]):
            yield Fault(("context", n, "expression"), f"R4 has no element {context['expression']}.")


def _own_url(resource: Json, elements: Sequence[Json]) -> Iterator[Fault]:
    for n, element in enumerate(elements):
        if element.get("id") == "Extension.url":
            if element.get("fixedUri") != resource.get("url"):
                yield Fault(("differential", "element", n, "fixedUri"), "The url of the extension is its own.")
            return
    yield Fault(("differential",), "Extension.url is not fixed.")
