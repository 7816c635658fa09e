"""One Python function for each resource type that walks a resource once for all its search parameters.

The paths of the parameters are merged into a trie; each step becomes one line of a generated function,
each parameter at its end one call of its type's index function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fhir_server.search.definitions import Definition
from fhir_server.search.elements import implied_systems
from fhir_server.search.parameters import composite, date, number, quantity, reference, special, string, token, uri
from fhir_server.search.paths import PRESENT, Path, Step
from fhir_server.search.patient_compartment import patient_parameters
from fhir_server.search.registry import Registry
from fhir_server.storage.rows import IndexRows

Walk = Callable[[dict[str, Any], IndexRows, str, dict[str, Any]], None]
"""(resource, rows to fill, time zone, the resource that contains it or itself)."""

_INDEX: dict[tuple[str, str], Callable[..., None]] = {
    ("token", "CodeableConcept"): token.index_concept,
    ("token", "Coding"): token.index_coding,
    ("token", "code"): token.index_code,
    ("token", "boolean"): token.index_boolean,
    ("token", PRESENT): token.index_presence,
    ("token", "Identifier"): token.index_identifier,
    ("token", "ContactPoint"): token.index_contact_point,
    ("token", "string"): token.index_string,
    ("token", "id"): token.index_uri,
    ("token", "uri"): token.index_uri,
    ("reference", "Reference"): reference.index,
    ("reference", "canonical"): reference.index_url,
    ("reference", "uri"): reference.index_url,
    ("reference", "Resource"): reference.index_resource,
    ("date", "date"): date.index_date,
    ("date", "dateTime"): date.index_date,
    ("date", "instant"): date.index_instant,
    ("date", "Period"): date.index_period,
    ("date", "Timing"): date.index_timing,
    ("string", "HumanName"): string.index_name,
    ("string", "Address"): string.index_address,
    ("uri", "canonical"): uri.index_canonical,
    ("number", "Range"): number.index_range,
    ("quantity", "Range"): quantity.index_range,
    ("quantity", "Money"): quantity.index_money,
    ("special", "BackboneElement"): special.index_position,
}
_INDEX_ANY: dict[str, Callable[..., None]] = {
    "string": string.index,
    "uri": uri.index,
    "number": number.index,
    "quantity": quantity.index,
}


@dataclass(slots=True)
class _Node:
    """Where some paths go on: what to do with a value here, and the steps from it."""

    calls: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    """(code of a call in which {v} is the value, keys of which the value must have one)."""
    children: dict[Step, _Node] = field(default_factory=dict)

    def at(self, steps: tuple[Step, ...]) -> _Node:
        node = self
        for step in steps:
            node = node.children.setdefault(step, _Node())
        return node


def compile_walk(registry: Registry, resource_type: str) -> Walk:
    """The function that adds the rows of a resource of `resource_type`."""
    builder = _Builder(resource_type)
    for definition in registry.indexed(resource_type):
        if not definition.is_alias:
            builder.add(definition)
    for code in patient_parameters(resource_type):
        builder.add_compartment(registry.definitions(resource_type)[code])
    return builder.function()


class _Builder:
    def __init__(self, resource_type: str) -> None:
        self._resource_type = resource_type
        self._root = _Node()
        self._names: dict[str, Any] = {}

    def add(self, definition: Definition) -> None:
        if definition.search_type == "composite":
            second = definition.components[1]
            call = f"{self._name(composite.indexer(definition))}(rows, {{v}}, resource, zone)"
            keys = () if second.from_resource else tuple(dict.fromkeys(p.steps[0].key for p in second.paths if p.steps))
            for path in definition.paths:
                self._root.at(path.steps).calls.append((call, keys))
            return
        for path in definition.paths:
            self._root.at(path.steps).calls.append((self._call(definition, path), ()))

    def add_compartment(self, definition: Definition) -> None:
        call = f"{self._name(_index_compartment)}(rows, {{v}})"
        for path in definition.paths:
            node = self._root.at(path.steps)
            if path.type_name == "Reference" and (call, ()) not in node.calls:
                node.calls.append((call, ()))

    def function(self) -> Walk:
        lines = ["def walk(resource, rows, zone, container):", "    v0 = resource"]
        self._write(self._root, 0, 1, lines)
        # The source is made of R4's element names, quoted by repr, and of names given here.
        exec(compile("\n".join(lines), f"<search of {self._resource_type}>", "exec"), self._names)  # noqa: S102
        walk: Walk = self._names["walk"]
        return walk

    def _call(self, definition: Definition, path: Path) -> str:
        search_type, p = definition.search_type, definition.p
        index = _INDEX.get((search_type, path.type_name)) or _INDEX_ANY[search_type]
        if path.type_name == "string" and search_type == "string" and path.steps[-1].key == "family":
            index = string.index_family
        extra = ""
        if search_type == "date":
            extra = ", zone"
        elif path.type_name == "code" and search_type == "token":
            extra = f", {self._constant(implied_systems(path.element.binding))}"
        elif path.type_name == PRESENT:
            extra = f", {tuple(path.element.key.split())!r}"
        elif path.only and path.type_name == "Reference":
            index, extra = reference.index_only, f", container, {_literal(path.only)}"
        elif path.type_name == "Reference" and search_type == "reference":
            extra = ", container"
        elif path.only and path.type_name == "ContactPoint":
            index, extra = token.index_contact_point_of, f", {_literal(path.only)}"
        return f"{self._name(index)}(rows, {p}, {{v}}{extra})"

    def _name(self, function: Callable[..., None]) -> str:
        name = f"{function.__module__.rpartition('.')[2]}_{function.__name__}"
        if self._names.setdefault(name, function) is not function:
            name = f"{name}_{len(self._names)}"
            self._names[name] = function
        return name

    def _constant(self, value: dict[str, str]) -> str:
        name = f"systems_{len(self._names)}"
        self._names[name] = value
        return name

    def _write(self, node: _Node, variable: int, depth: int, lines: list[str]) -> None:
        value, pad = f"v{variable}", "    " * depth
        for call, keys in node.calls:
            if keys:
                lines.append(pad + "if " + " or ".join(f"{key!r} in {value}" for key in keys) + ":")
                lines.append(f"{pad}    {call.format(v=value)}")
            else:
                lines.append(pad + call.format(v=value))
        for step, child in node.children.items():
            self._write_step(step, child, variable, depth, lines)

    def _write_step(self, step: Step, child: _Node, variable: int, depth: int, lines: list[str]) -> None:
        value, following, pad = f"v{variable}", f"v{variable + 1}", "    " * depth
        match step.kind:
            case "equal":
                lines.append(f"{pad}if {value}.get({step.key!r}) == {step.value!r}:")
                self._write(child, variable, depth + 1, lines)
                return
            case "one":
                lines.append(f"{pad}{following} = {value}.get({step.key!r})")
            case "each":
                lines.append(f"{pad}for {following} in {value}.get({step.key!r}) or ():")
                pad += "    "
                depth += 1
            case "first":
                lines.append(f"{pad}{following} = ({value}.get({step.key!r}) or (None,))[0]")
        lines.append(f"{pad}if {following} is not None:")
        self._write(child, variable + 1, depth + 1, lines)


def _literal(text: str) -> str:
    """Of a call, in which {v} is yet to be replaced: `text` may be of a client's SearchParameter."""
    return repr(text).replace("{", "{{").replace("}", "}}")


def _index_compartment(rows: IndexRows, value: dict[str, Any]) -> None:
    target = reference.local(value.get("reference") or "")
    if target is not None and target[0] == "Patient":
        rows.compartments.append(target[1])
