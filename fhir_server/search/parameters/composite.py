"""Composites: one row for each combination of components in one instance (R4 search.html#combining).

a is the first component's token. By the second component: token b; reference b (rid); number b; date b..c; quantity b
with c = symbol of its unit (and a canonical row); Range b..c with its unit in t, at a variant of its own; string t.
A third component is a number in c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from fhir_server.errors import InvalidSearch
from fhir_server.model.identity import token as token_hash
from fhir_server.search.definitions import Component, Definition
from fhir_server.search.matching import Matching, any_of, split, unescape
from fhir_server.search.parameters import date, number, quantity, reference, string, token
from fhir_server.search.paths import Path, Step
from fhir_server.storage.query import CompositeMatch, Predicate
from fhir_server.storage.rows import IndexRows, cut

_RANGE = 2
"""Added to the variant of a quantity for a Range."""
Cell = tuple[int, int, int, str]
"""(variant, b, c, t) of one value of the second component."""


def indexer(definition: Definition) -> Callable[[IndexRows, dict[str, Any], dict[str, Any], str], None]:
    """The function that adds the rows of one element: (rows, element, resource, time zone)."""
    first, second, *rest = definition.components
    p = definition.p

    def index(rows: IndexRows, element: dict[str, Any], resource: dict[str, Any], time_zone: str) -> None:
        cells = _cells(second, element, resource, time_zone)
        if rest and cells:
            thirds = [b for _, b, _, _ in _cells(rest[0], element, resource, time_zone)]
            cells = [(variant, b, third, t) for (variant, b, _, t), third in product(cells, thirds)]
        if not cells:
            return
        for found in _tokens(first, element, resource):
            rows.tokens.append(found)
            for variant, b, c, t in cells:
                rows.composites.append((p + variant, found[0], b, c, t))
        if second.search_type == "token":
            rows.tokens += _tokens(second, element, resource)

    return index


def _cells(component: Component, element: dict[str, Any], resource: dict[str, Any], time_zone: str) -> list[Cell]:
    return [
        cell
        for path in component.paths
        for value in values(resource if component.from_resource else element, path.steps)
        for cell in _cells_of(component.search_type, path, value, time_zone)
    ]


def _cells_of(search_type: str, path: Path, value: Any, time_zone: str) -> list[Cell]:
    match search_type:
        case "token":
            return [(0, found[0], 0, "") for found in token.coded(value, path.type_name, path.element.binding)]
        case "quantity":
            if path.type_name == "Range":
                return [(_RANGE + variant, low, high, _unit(w)) for variant, low, high, w in quantity.extents(value)]
            return [(variant, v, w, "") for variant, v, w in quantity.entries(value)]
        case "number":
            return [(0, number.ordered(value), 0, "")]
        case "date":
            period = date.range_of(value, path.type_name, time_zone)
            return [(0, *period, "")] if period else []
        case "string":
            return [(0, 0, 0, cut(string.fold(value)))]
    target = reference.local(value.get("reference") or "") if isinstance(value, dict) else None
    return [(0, target[1], 0, "")] if target else []


def _tokens(component: Component, element: dict[str, Any], resource: dict[str, Any]) -> list[tuple[int, str, str]]:
    start = resource if component.from_resource else element
    return [
        found
        for path in component.paths
        for value in values(start, path.steps)
        for found in token.coded(value, path.type_name, path.element.binding)
    ]


def values(start: Any, steps: tuple[Step, ...]) -> list[Any]:
    """The values at the end of plain `each` and `one` steps."""
    found = [start]
    for step in steps:
        below = [value.get(step.key) for value in found]
        if step.kind == "each":
            below = [value for many in below if many for value in many]
        found = [value for value in below if value is not None]
    return found


def match(definition: Definition, modifier: str, values: tuple[str, ...], matching: Matching) -> Predicate:
    """Resources with an instance whose components match one of `values`, `a$b`, together."""
    parts: list[Predicate] = []
    for value in values:
        components = split(value, "$")
        if len(components) != len(definition.components) or not all(components):
            codes = "$".join(component.code for component in definition.components)
            raise InvalidSearch(f"The search parameter '{definition.code}' takes {codes}, got {value[:100]!r}.")
        for source in definition.sources:
            parts += _matches(definition, source.p, components, matching)
    return any_of(parts)


def _matches(definition: Definition, p: int, components: list[str], matching: Matching) -> Iterator[Predicate]:
    first = _token_bounds(definition.components[0], components[0], "a", "a_codes")
    second = definition.components[1]
    for variant, bound in _second_bounds(second, components[1], matching):
        if len(components) == 3:
            prefix, amount, half = number.parse(definition.components[2].code, components[2])
            for low, high in number.ranges(prefix, amount, half):
                yield CompositeMatch(p, **first, **bound, c_low=low, c_high=high)
        else:
            yield CompositeMatch(p + variant, **first, **bound)


def _token_bounds(component: Component, text: str, hashes: str, codes: str) -> dict[str, Any]:
    system, code = token.parse(component.code, text)
    if not code:
        raise InvalidSearch(
            f"The component '{component.code}' of a composite needs a code: write code, system|code or |code."
        )
    return {codes: (code,)} if system is None else {hashes: (token_hash(system, code),)}


def _second_bounds(component: Component, text: str, matching: Matching) -> list[tuple[int, dict[str, Any]]]:
    """Alternatives of (variant, bounds)."""
    match component.search_type:
        case "token":
            return [(0, _token_bounds(component, text, "b_in", "b_codes"))]
        case "quantity":
            return _quantity_bounds(component, text)
        case "number":
            prefix, amount, half = number.parse(component.code, text)
            return [(0, {"b_low": low, "b_high": high}) for low, high in number.ranges(prefix, amount, half)]
        case "date":
            prefix, start, end = date.parse(component.code, text, matching.time_zone)
            keys = ("b_low", "b_high", "c_low", "c_high")
            return [(0, dict(zip(keys, bound, strict=True))) for bound in date.period_bounds(prefix, start, end)]
        case "string":
            return [(0, {"t_prefix": string.search_prefix(component.code, text)})]
    target = reference.local(unescape(text).removeprefix(f"{matching.base_url}/"))
    if target is None:
        raise InvalidSearch(f"The component '{component.code}' of a composite needs a reference: write Type/id.")
    return [(0, {"b_in": (target[1],)})]


def _quantity_bounds(component: Component, text: str) -> list[tuple[int, dict[str, Any]]]:
    found: list[tuple[int, dict[str, Any]]] = []
    ranged = any(path.type_name == "Range" for path in component.paths)
    for variant, (low, high, w) in quantity.search_bounds(component.code, text):
        found.append((variant, {"b_low": low, "b_high": high} | ({} if w is None else {"c_low": w, "c_high": w})))
        if ranged:
            unit = {} if w is None else {"t_prefix": _unit(w)}
            found.append((_RANGE + variant, {**number.extent_bounds(low, high, text[:2]), **unit}))
    return found


def _unit(w: int) -> str:
    """A unit's symbol as the t of a row; ended, so that it is no other's prefix."""
    return f"{w};"
