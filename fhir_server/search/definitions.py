"""Each search parameter as extraction and matching both see it: its paths, its rows and its aliases."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache

from fhir_server import spec
from fhir_server.fhirpath.lexer import InvalidExpression
from fhir_server.fhirpath.parser import parse
from fhir_server.search.elements import Element, children
from fhir_server.search.paths import PRESENT, Path, Step, paths, relative_paths, starts_at_resource
from fhir_server.storage.rows import parameter

INDEXED_TYPES: dict[str, frozenset[str]] = {
    "token": frozenset(
        ("CodeableConcept", "Coding", "code", "boolean", "Identifier", "ContactPoint", "string", "id", "uri", PRESENT)
    ),
    "reference": frozenset(("Reference", "canonical", "uri", "Resource")),
    "date": frozenset(("date", "dateTime", "instant", "Period", "Timing")),
    "string": frozenset(("string", "markdown", "HumanName", "Address")),
    "uri": frozenset(("uri", "url", "canonical", "oid", "uuid")),
    "number": frozenset(("integer", "decimal", "positiveInt", "unsignedInt", "Range")),
    "quantity": frozenset(("Quantity", "Age", "Duration", "Money", "Range", "Count", "Distance")),
    "special": frozenset(("BackboneElement",)),
}
"""The element types each search type indexes (R4 search.html#table); values of other types are not searched."""


@dataclass(frozen=True, slots=True)
class Source:
    """Rows that answer a parameter: those of the row parameter `p`, of which `only` counts when it is set."""

    p: int
    only: str = ""


@dataclass(frozen=True, slots=True)
class Component:
    """One component of a composite: the type it is matched as, and its paths below the composite's element."""

    code: str
    search_type: str
    paths: tuple[Path, ...]
    from_resource: bool
    """The paths start at the resource, not at the composite's element."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A search parameter of one resource type."""

    resource_type: str
    code: str
    search_type: str
    p: int
    """Row parameter of its own rows (variant 0)."""
    paths: tuple[Path, ...]
    """For a composite: the elements its components start at."""
    targets: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()
    sources: tuple[Source, ...] = ()
    """The rows that answer it: its own, or those of the parameters it is an alias of."""
    element_types: frozenset[str] = field(default=frozenset())
    bindings: tuple[str, ...] | None = None
    """The value sets that imply the systems, when all its elements are codes and booleans; None otherwise."""

    @property
    def is_alias(self) -> bool:
        return all(source.p != self.p for source in self.sources)


RESULT_PARAMETERS = frozenset(("_id", "_lastUpdated", "_type", "_text", "_content", "_list", "_query", "_filter"))
"""Parameters of all types that are not answered by rows extracted from an element."""


@cache
def definitions(resource_type: str) -> dict[str, Definition]:
    """All parameters of `resource_type` that have an expression this server can index, by code."""
    found: dict[str, Definition] = {}
    for code, declared in spec.search_parameters(resource_type).items():
        if not declared.expression or code in RESULT_PARAMETERS:
            continue
        try:
            found[code] = build(resource_type, code, declared)
        except InvalidExpression:
            continue
    return _with_aliases(found)


def build(resource_type: str, code: str, declared: spec.SearchParameter) -> Definition:
    """The definition, with rows of its own.

    Raises InvalidExpression when search cannot follow the expression, or indexes none of the types at its end.
    """
    p = parameter(declared.number)
    own = (Source(p),)
    located = tuple(paths(parse(declared.expression or ""), resource_type))
    if declared.type == "composite":
        components = tuple(_component(resource_type, part, located) for part in declared.components)
        return Definition(resource_type, code, "composite", p, located, components=components, sources=own)
    selected, located = located, tuple(indexed(located, declared.type))
    if not located:
        names = ", ".join(sorted({path.type_name for path in selected})) or "nothing"
        raise InvalidExpression(
            f"The expression selects {names} of {resource_type}; a parameter of type {declared.type} indexes"
            f" {', '.join(sorted(INDEXED_TYPES[declared.type] - {PRESENT}))}.",
            code="not-supported",
        )
    types = frozenset(path.type_name for path in located)
    bindings = None
    if declared.type == "token" and types <= {"code", "boolean", PRESENT}:
        bindings = tuple(dict.fromkeys(path.element.binding for path in located))
    targets = tuple(declared.targets)
    return Definition(
        resource_type, code, declared.type, p, located, targets, sources=own, element_types=types, bindings=bindings
    )


def _component(resource_type: str, part: spec.SearchComponent, contexts: tuple[Path, ...]) -> Component:
    expression = parse(part.expression)
    if starts_at_resource(expression):
        located = paths(expression, resource_type)
    else:
        located = list(dict.fromkeys(path for context in contexts for path in relative_paths(expression, context)))
    # R4 has the two components of DocumentReference.relationship the wrong way round: the element decides.
    for search_type in (part.type, "token", "reference"):
        usable = indexed(tuple(located), search_type)
        if usable:
            return Component(part.code, search_type, tuple(usable), starts_at_resource(expression))
    raise InvalidExpression(f"Search cannot index the component '{part.code}' of a composite.", code="not-supported")


def indexed(located: tuple[Path, ...], search_type: str) -> list[Path]:
    """The paths whose type `search_type` indexes; an extension counts by its value."""
    wanted = INDEXED_TYPES[search_type]
    found = []
    for path in located:
        if path.type_name == "Extension":
            values = children(path.element, "value")
            found += [extend(path, value) for value in values if value.type_name in wanted]
        elif path.type_name in wanted:
            found.append(path)
    return found


def extend(path: Path, child: Element) -> Path:
    return Path((*path.steps, Step("each" if child.many else "one", child.key)), child, path.only)


def _with_aliases(own: dict[str, Definition]) -> dict[str, Definition]:
    """Every definition with its sources: a union or a restriction of other parameters has no rows of its own."""
    owners: list[tuple[frozenset[object], Definition]] = []
    for definition in sorted(own.values(), key=lambda d: (any(path.only for path in d.paths), len(d.paths), d.p)):
        wanted = _coverage(definition)
        sources = _covered_by(wanted, definition, owners)
        if not sources:
            owners.append((wanted, definition))
            sources = (Source(definition.p),)
        own[definition.code] = replace(definition, sources=sources)
    return own


def _coverage(definition: Definition) -> frozenset[object]:
    """What the rows of a parameter stand for, whatever they are restricted to."""
    components = tuple((c.search_type, tuple((p.steps, p.type_name) for p in c.paths)) for c in definition.components)
    return frozenset((definition.search_type, components, path.steps, path.type_name) for path in definition.paths)


def _covered_by(
    wanted: frozenset[object], definition: Definition, owners: list[tuple[frozenset[object], Definition]]
) -> tuple[Source, ...]:
    """The fewest-first owners whose rows together are those of `definition`, apart from its restriction."""
    restrictions = {path.only for path in definition.paths}
    if len(restrictions) > 1:
        return ()
    missing = set(wanted)
    sources = []
    for covered, owner in owners:
        if covered <= wanted and missing & covered and not any(path.only for path in owner.paths):
            sources.append(Source(owner.p, *restrictions))
            missing -= covered
    return () if missing else tuple(sources)
