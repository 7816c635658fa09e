"""Parameters about the result, not about which resources match (R4 search.html#return).

Each reader takes the registry, the types searched, what earlier parameters set, and the value as sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_server import spec
from fhir_server.errors import InvalidSearch, too_costly
from fhir_server.search.criteria import target_types
from fhir_server.search.registry import Registry
from fhir_server.search.request import Include, SortRule
from fhir_server.search.sorting import is_sortable

MOST_SORT_KEYS = 8
"""Most different keys of `_sort`: each costs a look-up for every match."""
MOST_INCLUDES = 30
"""Most `_include` and `_revinclude` of one search."""


@dataclass(frozen=True, slots=True)
class Honoured:
    """What a control parameter does."""

    value: str
    """The part of the value that is honoured, for the self link; "" when nothing of it is."""
    changes: dict[str, Any] = field(default_factory=dict)
    """Fields of the SearchRequest."""
    ignored: tuple[str, ...] = ()
    """What is not honoured, and why."""
    issue: str = "not-supported"


Types = tuple[str, ...]
Reader = Callable[[Registry, Types, Mapping[str, Any], str], Honoured]


def _count(registry: Registry, types: Types, so_far: Mapping[str, Any], value: str) -> Honoured:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise InvalidSearch(f"_count takes a whole number from 0, got {value[:100]!r}.")
    return Honoured(value, {"count": int(value)})


def _one_of(name: str, field_name: str, allowed: tuple[str, ...]) -> Reader:
    def read(registry: Registry, types: Types, so_far: Mapping[str, Any], value: str) -> Honoured:
        if value not in allowed:
            raise InvalidSearch(f"{name} takes {', '.join(allowed[:-1])} or {allowed[-1]}, got {value[:100]!r}.")
        return Honoured(value, {field_name: value})

    return read


def _summary(registry: Registry, types: Types, so_far: Mapping[str, Any], value: str) -> Honoured:
    if value not in ("true", "false", "text", "data", "count"):
        raise InvalidSearch(f"_summary takes true, text, data, count or false, got {value[:100]!r}.")
    if value == "count":
        return Honoured(value, {"count": 0})
    return Honoured(value, {"summary": "" if value == "false" else value})


def _elements(registry: Registry, types: Types, so_far: Mapping[str, Any], value: str) -> Honoured:
    names = [name.strip() for name in value.split(",") if name.strip()]
    roots = {name: _root(types, name) for name in names}
    wanted = [name for name, root in roots.items() if root]
    unknown = [name for name, root in roots.items() if not root]
    reasons = tuple(f"{_named(types)} has no element {name[:100]!r}." for name in unknown[:10])
    changes = {"elements": (*so_far.get("elements", ()), *(roots[name] for name in wanted))} if wanted else {}
    if not names:
        reasons = ("'_elements' has no value.",)
    return Honoured(",".join(wanted), changes, reasons, "invalid")


def _root(types: Types, name: str) -> str:
    """The element at the root that `name` is, or is below or a choice of (`valueString` of `value`); "" for none."""
    head = name.partition(".")[0]
    for one in types:
        for child in spec.structure(one).children[one]:
            element, choice, _ = child.partition("[x]")
            if head == element or (choice and head.startswith(element) and head[len(element) :][:1].isupper()):
                return element
    return ""


def _sort(registry: Registry, types: Types, so_far: Mapping[str, Any], value: str) -> Honoured:
    rules: list[SortRule] = list(so_far.get("sort", ()))
    known = {rule.code for rule in rules}
    honoured, ignored = [], []
    for rule in value.split(","):
        code = rule.removeprefix("-")
        if code in known:
            continue  # what is in order by it already stays as it is
        if is_sortable(registry, types, code):
            if len(rules) == MOST_SORT_KEYS:
                raise too_costly(f"_sort takes at most {MOST_SORT_KEYS} different keys.")
            known.add(code)
            rules.append(SortRule(code, rule.startswith("-")))
            honoured.append(rule)
        else:
            ignored.append(f"{_named(types)} cannot be sorted by {code[:100]!r} on this server.")
    return Honoured(",".join(honoured), {"sort": tuple(rules)}, tuple(ignored))


def _include(name: str, *, reverse: bool, iterate: bool) -> Reader:
    def read(registry: Registry, types: Types, so_far: Mapping[str, Any], value: str) -> Honoured:
        includes: tuple[Include, ...] = so_far.get("includes", ())
        if len(includes) == MOST_INCLUDES:
            raise too_costly(f"A search takes at most {MOST_INCLUDES} includes.")
        source, _, rest = value.partition(":")
        code, _, target = rest.partition(":")
        if value == "*":
            source, code = "*", "*"
        reason = _unusable(registry, types, source, code, target, reverse=reverse, iterate=iterate)
        if reason:
            raise InvalidSearch(f"{name}={value[:100]} cannot be followed: {reason}")
        return Honoured(value, {"includes": (*includes, Include(source, code, target, reverse, iterate))})

    return read


def _unusable(
    registry: Registry, types: Types, source: str, code: str, target: str, *, reverse: bool, iterate: bool
) -> str:
    """Why an include cannot be followed; "" when it can."""
    if target and target not in spec.RESOURCE_TYPES:
        return f"{target[:100]!r} is not a resource type."
    if source == "*":
        return "" if code == "*" else "write *, [type]:[search parameter] or [type]:[search parameter]:[target type]."
    if source not in spec.RESOURCE_TYPES:
        return f"{source[:100]!r} is not a resource type; write [type]:[search parameter]."
    if not reverse and not iterate and source not in types:
        return f"{_named(types)} finds no {source}; with :iterate those that are included count too."
    if code == "*":
        return ""
    definition = registry.definitions(source).get(code)
    if definition is None or definition.search_type != "reference":
        return f"{source} has no reference parameter {code[:100]!r}."
    known = target_types(definition)
    if target and target not in known:
        return f"{code!r} of {source} does not refer to {target}."
    if reverse and not iterate and not any(one in known and target in ("", one) for one in types):
        return f"{code!r} of {source} does not refer to what is searched ({_named(types)})."
    return ""


def _named(types: Types) -> str:
    """The types searched, for a message."""
    return types[0] if len(types) == 1 else f"a search of {len(types)} types"


_INCLUDES: dict[str, Reader] = {
    name + modifier: _include(name + modifier, reverse=name == "_revinclude", iterate=bool(modifier))
    for name in ("_include", "_revinclude")
    for modifier in ("", ":iterate")
}

CONTROLS: dict[str, Reader] = {
    "_count": _count,
    "_total": _one_of("_total", "total", ("none", "estimate", "accurate")),
    "_contained": _one_of("_contained", "contained", ("false", "true", "both")),
    "_containedType": _one_of("_containedType", "contained_type", ("container", "contained")),
    "_summary": _summary,
    "_elements": _elements,
    "_sort": _sort,
    **_INCLUDES,
}
"""By the name they are sent under."""
