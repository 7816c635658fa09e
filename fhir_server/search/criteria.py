"""From the name and value of one search parameter to a condition (R4 search.html#modifiers, #chaining, #has)."""

from __future__ import annotations

from fhir_server import spec
from fhir_server.errors import InvalidSearch, too_costly
from fhir_server.search.definitions import Definition
from fhir_server.search.matching import split
from fhir_server.search.modifiers import ENDS_WITH, IS, OF_ID, OF_LAST_UPDATED, modifiers
from fhir_server.search.registry import R4, Registry
from fhir_server.search.request import AllOf, AnyOf, Chained, Condition, Criterion, NoneOf, ReverseChained

OF_EVERY_TYPE = frozenset(("_id", "_lastUpdated", "_list", "_text", "_content"))
"""Parameters of all types that are not answered by rows extracted from an element."""
WITH_MODIFIERS: dict[str, tuple[str, ...]] = {"_id": OF_ID, "_lastUpdated": OF_LAST_UPDATED}
"""The modifiers of those."""
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
    return _Reader(registry, _alternatives(value)).condition(resource_type, name)


def _alternatives(value: str) -> tuple[str, ...]:
    values = (value,) if "," not in value else tuple(part for part in split(value, ",") if part)
    if not value or not values:
        raise NoValue
    return values


class _Reader:
    """Reads the name of one parameter, whose links may each lead to many types."""

    def __init__(self, registry: Registry, values: tuple[str, ...]) -> None:
        self._registry = registry
        self._values = values
        self._unread: dict[tuple[str, str], UnknownParameter | InvalidSearch] = {}
        """(type, name) -> why it cannot be read: chains of untyped links come to the same ends by many ways."""

    def condition(self, resource_type: str, name: str) -> Condition:
        key = (resource_type, name)
        if key in self._unread:
            raise self._unread[key]
        try:
            return self._condition(resource_type, name)
        except (UnknownParameter, InvalidSearch) as reason:
            self._unread[key] = reason
            raise

    def _condition(self, resource_type: str, name: str) -> Condition:
        known = self._registry.definitions(resource_type)
        if name in known or name in OF_EVERY_TYPE:
            return Criterion(name, self._values)
        if name == "_has" or name.startswith("_has:"):
            return self._reverse_chain(resource_type, name)
        head, dot, rest = name.partition(".")
        code, colon, modifier = head.partition(":")
        if dot and code in known:
            return self._chain(known[code], head, modifier, rest)
        if colon and not dot and (code in known or code in OF_EVERY_TYPE):
            return self._modified(resource_type, code, modifier)
        raise UnknownParameter

    def _modified(self, resource_type: str, code: str, modifier: str) -> Criterion:
        definition = self._registry.definitions(resource_type).get(code)
        allowed = modifiers(definition) if definition else WITH_MODIFIERS.get(code, ())
        if "[type]" in allowed and modifier in spec.RESOURCE_TYPES:
            assert definition is not None
            _check_target(definition, modifier)
        elif modifier not in allowed or modifier == "[type]":
            works = f"it takes {', '.join(f':{one}' for one in allowed)}" if allowed else "it takes none"
            raise InvalidSearch(
                f"The modifier ':{modifier[:100]}' of '{code}' is not supported; {works}.", code="not-supported"
            )
        if modifier == "missing" and self._values not in (("true",), ("false",)):
            raise InvalidSearch(f"'{code}:missing' takes true or false.")
        return Criterion(code, self._values, modifier)

    def _chain(self, definition: Definition, head: str, target: str, rest: str) -> Condition:
        if definition.search_type != "reference":
            raise InvalidSearch(
                f"'{definition.code}' is no reference, so nothing can be asked of what it refers to"
                f" ('{head[:100]}.{rest[:100]}').",
                code="not-supported",
            )
        if definition.element_types == {"Resource"}:
            raise InvalidSearch(
                f"'{definition.code}' of {definition.resource_type} is nested in it, and the contents of what is nested"
                f" are not searched ('{head[:100]}.{rest[:100]}'): give its id.",
                code="not-supported",
            )
        if target:
            _check_target(definition, target)
        refusal = InvalidSearch(
            f"Nothing that '{head}' of {definition.resource_type} may refer to has the search parameter"
            f" '{rest[:100]}'.",
            code="not-supported",
        )
        for resource_type in (target,) if target else target_types(definition):
            try:
                return Chained(definition.code, target, self.condition(resource_type, rest))
            except UnknownParameter:
                continue
            except InvalidSearch as reason:
                # A modifier that this type's parameter does not take may be another's.
                refusal = reason
        raise refusal

    def _reverse_chain(self, resource_type: str, name: str) -> Condition:
        parts = name.split(":", 3)
        if len(parts) != 4 or parts[1] not in spec.RESOURCE_TYPES or not parts[3]:
            raise InvalidSearch(
                f"'{name[:100]}' is not _has:[type]:[reference parameter]:[search parameter].", code="not-supported"
            )
        _, source, code, rest = parts
        definition = self._registry.definitions(source).get(code)
        if definition is None or definition.search_type != "reference":
            raise InvalidSearch(
                f"'{code[:100]}' in '_has' is not a reference parameter of {source}.", code="not-supported"
            )
        if resource_type not in target_types(definition):
            raise InvalidSearch(f"'{code}' of {source} does not refer to {resource_type}.", code="not-supported")
        try:
            return ReverseChained(source, code, self.condition(source, rest))
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


def applies(
    found: Condition, resource_type: str, registry: Registry = R4, known: dict[tuple[int, str], bool] | None = None
) -> bool:
    """Whether every parameter of the condition is one of `resource_type`, with its modifier.

    `known` keeps what was found out of the condition's parts: untyped links come to the same types by many ways.
    """
    known = {} if known is None else known
    key = (id(found), resource_type)
    if key not in known:
        known[key] = _applies(found, resource_type, registry, known)
    return known[key]


def _applies(found: Condition, resource_type: str, registry: Registry, known: dict[tuple[int, str], bool]) -> bool:
    match found:
        case Criterion(code, _, modifier):
            definition = registry.definitions(resource_type).get(code)
            if definition is None:
                return code in OF_EVERY_TYPE and (not modifier or modifier in WITH_MODIFIERS.get(code, ()))
            allowed = modifiers(definition)
            if modifier in (IS, ENDS_WITH):
                return definition.search_type == "string"
            return not modifier or modifier in allowed or ("[type]" in allowed and modifier in target_types(definition))
        case Chained(code, target, inner):
            definition = registry.definitions(resource_type).get(code)
            if definition is None or definition.search_type != "reference":
                return False
            types = target_types(definition)
            return any(applies(inner, one, registry, known) for one in types if not target or one == target)
        case ReverseChained(source, code, _):
            return resource_type in target_types(registry.definitions(source)[code])
        case AllOf(parts) | AnyOf(parts):
            return all(applies(part, resource_type, registry, known) for part in parts)
        case NoneOf(part):
            return applies(part, resource_type, registry, known)


def value_count(found: Condition) -> int:
    """How many values the condition compares with."""
    match found:
        case Criterion(values=values):
            return len(values)
        case Chained(condition=inner) | ReverseChained(condition=inner) | NoneOf(part=inner):
            return value_count(inner)
        case AllOf(parts) | AnyOf(parts):
            return sum(map(value_count, parts))
