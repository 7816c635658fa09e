"""From the name and value of one search parameter to a condition (R4 search.html#modifiers, #chaining, #has)."""

from __future__ import annotations

from fhir_server import spec
from fhir_server.errors import InvalidSearch, too_costly
from fhir_server.search.definitions import Definition
from fhir_server.search.matching import split
from fhir_server.search.modifiers import OF_ID, OF_LAST_UPDATED, modifiers
from fhir_server.search.registry import R4, Registry
from fhir_server.search.request import AllOf, AnyOf, Chained, Condition, Criterion, NoneOf, ReverseChained

OF_EVERY_TYPE = frozenset(("_id", "_lastUpdated", "_list", "_text"))
"""Parameters of all types that are not answered by rows extracted from an element."""
_WITH_MODIFIERS: dict[str, tuple[str, ...]] = {"_id": OF_ID, "_lastUpdated": OF_LAST_UPDATED}
MOST_LINKS = 8
"""Most references that one condition may follow."""


class UnknownParameter(Exception):
    """The resource type has no such search parameter."""


class NoValue(Exception):
    """The parameter has no value, which R4 calls no error (search.html#errors)."""


def condition(resource_type: str, name: str, value: str, registry: Registry = R4) -> Condition:
    """What `name=value` asks of a resource of `resource_type`.

    Raises UnknownParameter, NoValue, and InvalidSearch for a modifier or a chain that cannot be followed.
    """
    if name.count(".") + name.count("_has:") > MOST_LINKS:
        raise too_costly(f"'{name[:100]}' follows more than {MOST_LINKS} references: ask in several searches.")
    return _condition(registry, resource_type, name, _alternatives(value))


def _alternatives(value: str) -> tuple[str, ...]:
    values = (value,) if "," not in value else tuple(part for part in split(value, ",") if part)
    if not value or not values:
        raise NoValue
    return values


def _condition(registry: Registry, resource_type: str, name: str, values: tuple[str, ...]) -> Condition:
    known = registry.definitions(resource_type)
    if name in known or name in OF_EVERY_TYPE:
        return Criterion(name, values)
    if name == "_has" or name.startswith("_has:"):
        return _reverse_chain(registry, resource_type, name, values)
    head, dot, rest = name.partition(".")
    code, colon, modifier = head.partition(":")
    if dot and code in known:
        return _chain(registry, known[code], head, modifier, rest, values)
    if colon and not dot and (code in known or code in OF_EVERY_TYPE):
        return _modified(registry, resource_type, code, modifier, values)
    raise UnknownParameter


def _modified(registry: Registry, resource_type: str, code: str, modifier: str, values: tuple[str, ...]) -> Criterion:
    definition = registry.definitions(resource_type).get(code)
    allowed = modifiers(definition) if definition else _WITH_MODIFIERS.get(code, ())
    if "[type]" in allowed and modifier in spec.RESOURCE_TYPES:
        assert definition is not None
        _check_target(definition, modifier)
    elif modifier not in allowed or modifier == "[type]":
        works = f"it takes {', '.join(f':{one}' for one in allowed)}" if allowed else "it takes none"
        raise InvalidSearch(
            f"The modifier ':{modifier[:100]}' of '{code}' is not supported; {works}.", code="not-supported"
        )
    if modifier == "missing" and values not in (("true",), ("false",)):
        raise InvalidSearch(f"'{code}:missing' takes true or false.")
    return Criterion(code, values, modifier)


def _chain(
    registry: Registry, definition: Definition, head: str, target: str, rest: str, values: tuple[str, ...]
) -> Condition:
    if definition.search_type != "reference":
        raise InvalidSearch(
            f"'{definition.code}' is no reference, so nothing can be asked of what it refers to ('{head}.{rest}').",
            code="not-supported",
        )
    if target:
        _check_target(definition, target)
    refusal = InvalidSearch(
        f"Nothing that '{head}' of {definition.resource_type} may refer to has the search parameter '{rest[:100]}'.",
        code="not-supported",
    )
    for resource_type in (target,) if target else target_types(definition):
        try:
            return Chained(definition.code, target, _condition(registry, resource_type, rest, values))
        except UnknownParameter:
            continue
        except InvalidSearch as reason:
            # A modifier that this type's parameter does not take may be another's.
            refusal = reason
    raise refusal


def _reverse_chain(registry: Registry, resource_type: str, name: str, values: tuple[str, ...]) -> Condition:
    parts = name.split(":", 3)
    if len(parts) != 4 or parts[1] not in spec.RESOURCE_TYPES or not parts[3]:
        raise InvalidSearch(
            f"'{name[:100]}' is not _has:[type]:[reference parameter]:[search parameter].", code="not-supported"
        )
    _, source, code, rest = parts
    definition = registry.definitions(source).get(code)
    if definition is None or definition.search_type != "reference":
        raise InvalidSearch(f"'{code[:100]}' in '_has' is not a reference parameter of {source}.", code="not-supported")
    if resource_type not in target_types(definition):
        raise InvalidSearch(f"'{code}' of {source} does not refer to {resource_type}.", code="not-supported")
    try:
        return ReverseChained(source, code, _condition(registry, source, rest, values))
    except UnknownParameter:
        raise InvalidSearch(
            f"'{rest[:100]}' in '_has' is not a search parameter of {source}.", code="not-supported"
        ) from None


def _check_target(definition: Definition, target: str) -> None:
    if target not in target_types(definition):
        raise InvalidSearch(
            f"'{definition.code}' of {definition.resource_type} does not refer to {target[:100]}.", code="not-supported"
        )


def target_types(definition: Definition) -> tuple[str, ...]:
    """The resource types that a reference parameter may refer to."""
    only = {source.only for source in definition.sources if source.only}
    known = tuple(target for target in only or definition.targets if target in spec.RESOURCE_TYPES)
    return known or tuple(sorted(spec.RESOURCE_TYPES))


def applies(found: Condition, resource_type: str, registry: Registry = R4) -> bool:
    """Whether every parameter of the condition is one of `resource_type`, with its modifier."""
    match found:
        case Criterion(code, _, modifier):
            definition = registry.definitions(resource_type).get(code)
            if definition is None:
                return code in OF_EVERY_TYPE and (not modifier or modifier in _WITH_MODIFIERS.get(code, ()))
            allowed = modifiers(definition)
            return not modifier or modifier in allowed or ("[type]" in allowed and modifier in target_types(definition))
        case Chained(code, target, inner):
            definition = registry.definitions(resource_type).get(code)
            if definition is None or definition.search_type != "reference":
                return False
            types = target_types(definition)
            return any(applies(inner, one, registry) for one in types if not target or one == target)
        case ReverseChained(source, code, _):
            return resource_type in target_types(registry.definitions(source)[code])
        case AllOf(parts) | AnyOf(parts):
            return all(applies(part, resource_type, registry) for part in parts)
        case NoneOf(part):
            return applies(part, resource_type, registry)


def value_count(found: Condition) -> int:
    """How many values the condition compares with."""
    match found:
        case Criterion(values=values):
            return len(values)
        case Chained(condition=inner) | ReverseChained(condition=inner) | NoneOf(part=inner):
            return value_count(inner)
        case AllOf(parts) | AnyOf(parts):
            return sum(map(value_count, parts))
