"""References: a local one is a number row of the target's rid, any other a text row (R4 search.html#reference)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from fhir_server import spec
from fhir_server.errors import too_costly
from fhir_server.model.identity import LONGEST_CACHED, rid, symbol
from fhir_server.search.definitions import Definition, Source
from fhir_server.search.matching import Matching, any_of, unescape, unusable
from fhir_server.search.parameters import canonical, presence, token
from fhir_server.storage.codes import TYPE_NUMBERS
from fhir_server.storage.contained import contained_id, contained_type
from fhir_server.storage.query import And, Exists, NumberIn, Predicate, TextIn
from fhir_server.storage.rows import (
    VARIANT_EXTERNAL,
    VARIANT_IDENTIFIER,
    VARIANT_PRESENT,
    IndexRows,
    cut,
)

_LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
MOST_TARGETS = 20_000
"""Most resources that the values of one parameter may mean: a bare id is one of each of its target types."""
_UNKNOWN_TYPE = 0
"""w of the row of a reference that does not tell its type."""
_NOBODY = rid("", "")
"""No resource has this rid: what a value asks for that no row of the parameter can hold."""


def local(reference: str) -> tuple[str, int] | None:
    """(type, rid) of a relative reference, whatever version it names; None for any other."""
    return _local(reference) if len(reference) <= LONGEST_CACHED else None


@lru_cache(maxsize=16384)
def _local(reference: str) -> tuple[str, int] | None:
    match = _LOCAL.fullmatch(reference)
    return (match[1], rid(match[1], match[2])) if match and match[1] in spec.RESOURCE_TYPES else None


def index(rows: IndexRows, p: int, value: dict[str, Any], container: dict[str, Any]) -> None:
    """A Reference: where it points and the identifier it names; `#id` is a resource of `container`."""
    reference = value.get("reference") or ""
    found = _index_contained if reference.startswith("#") else _index_literal
    if not found(rows, p, reference, container):
        # It is there, and may say of which type, though nothing here is referred to.
        presence.note(rows, p, value, TYPE_NUMBERS.get(type_of(value), _UNKNOWN_TYPE))
    identifier = value.get("identifier")
    if identifier:
        _index_identifier(rows, p + VARIANT_IDENTIFIER, identifier)


def _index_identifier(rows: IndexRows, p: int, identifier: dict[str, Any]) -> None:
    """One without a value is found by its system alone."""
    system = symbol(identifier.get("system") or "")
    if identifier.get("value"):
        rows.texts.append((p, cut(identifier["value"]), system))
    elif system:
        rows.numbers.append((p, 0, system))


def index_only(rows: IndexRows, p: int, value: dict[str, Any], container: dict[str, Any], only: str) -> None:
    """A Reference if it is to the type `only` (`resolve() is`)."""
    reference = value.get("reference") or ""
    found = _contained_type(reference, container) if reference.startswith("#") else type_of(value)
    if found == only:
        index(rows, p, value, container)


def _contained_type(reference: str, container: dict[str, Any]) -> str:
    """The type of the contained resource that `#id` names; "" when there is none."""
    for resource in container.get("contained") or ():
        if resource.get("id") == reference[1:]:
            return str(resource["resourceType"])
    return ""


def _index_contained(rows: IndexRows, p: int, reference: str, container: dict[str, Any]) -> bool:
    resource_type = _contained_type(reference, container)
    if resource_type:
        inside = contained_id(container["resourceType"], container.get("id", ""), reference[1:])
        target = contained_type(resource_type)
        rows.numbers.append((p, rid(target, inside), TYPE_NUMBERS[target]))
    return bool(resource_type)


def _index_literal(rows: IndexRows, p: int, reference: str, container: dict[str, Any]) -> bool:
    if reference:
        index_url(rows, p, reference)
    return local(reference) is not None


def index_url(rows: IndexRows, p: int, reference: str) -> None:
    """A relative reference, or an absolute URL or canonical with its version."""
    target = local(reference)
    if target is not None:
        rows.numbers.append((p, target[1], TYPE_NUMBERS[target[0]]))
    elif not reference.startswith("#"):
        canonical.index(rows, p, reference, VARIANT_EXTERNAL)


def index_resource(rows: IndexRows, p: int, resource: dict[str, Any]) -> None:
    """A resource nested where a reference would be (Bundle.entry[0].resource)."""
    number = TYPE_NUMBERS[resource["resourceType"]]
    if resource.get("id"):
        rows.numbers.append((p, rid(resource["resourceType"], resource["id"]), number))
    else:
        presence.note(rows, p, resource, number)


def type_of(value: dict[str, Any]) -> str:
    """The type a Reference points to, by its URL or its `type`; "" when that cannot be told."""
    reference = value.get("reference") or ""
    target = local(reference)
    if target is not None:
        return target[0]
    parts = reference.partition("/_history/")[0].split("/")
    if len(parts) > 2 and parts[-2] in spec.RESOURCE_TYPES:
        return parts[-2]
    return value.get("type") or ""


def match(definition: Definition, modifier: str, values: tuple[str, ...], matching: Matching) -> Predicate:
    """Resources that refer to one of `values`: id, Type/id, or an absolute URL or canonical[|version].

    `modifier` may be the type that ids are of, or `identifier`: then `values` are tokens (R4 search.html#reference).
    """
    if modifier == "identifier":
        return any_of([_identified(definition, source, value) for source in definition.sources for value in values])
    if modifier in ("above", "below") and definition.element_types == {"Reference"}:
        return _in_hierarchy(definition, modifier, values, matching)
    if modifier == "below":
        canonicals = [unescape(value).partition("|") for value in values]
        return any_of(
            [
                canonical.below(source.p, url, version, VARIANT_EXTERNAL)
                for source in definition.sources
                for url, _, version in canonicals
            ]
        )
    if modifier:
        values = tuple([_of_type(definition, modifier, value) for value in values])
    parts: list[Predicate] = []
    for source in definition.sources:
        rids: list[int] = []
        for value in values:
            found, urls = _targets(definition, source, unescape(value), matching.base_url)
            rids += found
            if len(rids) > MOST_TARGETS:
                raise too_costly(f"'{definition.code}' has too many bare ids: write Type/id, or send several searches.")
            parts += [TextIn(source.p + VARIANT_EXTERNAL, (cut(url),), w) for url, w in urls]
        if rids:
            parts.append(NumberIn(source.p, tuple(rids)))
    return any_of(parts or [NumberIn(definition.p, (_NOBODY,))])


def _in_hierarchy(definition: Definition, modifier: str, values: tuple[str, ...], matching: Matching) -> Predicate:
    """References to the resources named or to what is above or below them (R4 search.html#recursive)."""
    known = matching.knowledge.hierarchies[modifier, values]
    parts: list[Predicate] = []
    for source in definition.sources:
        rids: set[int] = set()
        for value in values:
            named, urls = _targets(definition, source, unescape(value), matching.base_url)
            if urls:
                raise unusable(
                    f"{definition.code}:{modifier}", value, "the id, or Type/id, of a resource of this server"
                )
            rids.update(named)
        for resource_type in (source.only,) if source.only else _target_types(definition.targets):
            rids |= known.get(resource_type, frozenset())
        if rids:
            parts.append(NumberIn(source.p, tuple(rids)))
    return any_of(parts or [NumberIn(definition.p, (_NOBODY,))])


def _identified(definition: Definition, source: Source, value: str) -> Predicate:
    """References that name the identifier `[system|]value`, wherever they point; not those to another type."""
    p = source.p + VARIANT_IDENTIFIER
    system, code = token.parse(f"{definition.code}:identifier", value)
    if code:
        found: Predicate = TextIn(p, (cut(code),), None if system is None else symbol(system))
    else:
        found = Exists((p,), (symbol(system or ""),))
    if not source.only:
        return found
    types = TYPE_NUMBERS[source.only], TYPE_NUMBERS[contained_type(source.only)], _UNKNOWN_TYPE
    return And((found, Exists((source.p, source.p + VARIANT_PRESENT), types)))


def _of_type(definition: Definition, resource_type: str, value: str) -> str:
    if "/" not in value:
        return f"{resource_type}/{value}"
    target = local(value)
    if target is not None and target[0] == resource_type:
        return value
    raise unusable(f"{definition.code}:{resource_type}", value, f"the id of a {resource_type}")


def _targets(
    definition: Definition, source: Source, value: str, base_url: str
) -> tuple[list[int], list[tuple[str, int | None]]]:
    """(rids, [(external url, symbol of its version or None)]) that `value` names."""
    relative = value.removeprefix(f"{base_url}/") if base_url else value
    target = local(relative)
    if target is not None:
        allowed = not source.only or target[0] == source.only
        # A canonical is stored as sent, so one of our own base stays an absolute URL.
        absolute = bool(definition.element_types & {"canonical", "uri"})
        return [target[1]] if allowed else [], [(f"{base_url}/{relative}", None)] if absolute else []
    if ":" in value:
        url, bar, version = value.partition("|")
        return [], [(url, symbol(version) if bar and version else None)]
    if _ID.fullmatch(value):
        types = (source.only,) if source.only else _target_types(definition.targets)
        return [rid(resource_type, value) for resource_type in types], []
    raise unusable(definition.code, value, "a reference: write an id, Type/id or an absolute URL")


def _target_types(targets: tuple[str, ...]) -> tuple[str, ...]:
    known = tuple(target for target in targets if target in spec.RESOURCE_TYPES)
    return known or tuple(sorted(spec.RESOURCE_TYPES))
