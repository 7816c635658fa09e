"""compose.include.filter: the concepts of a code system that one filter selects (R4 valueset-filter-operator.html)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fhir_server.fhirpath.evaluation import EvaluationError
from fhir_server.fhirpath.regex import compiled
from fhir_server.terminology.code_system import CodeSystem
from fhir_server.terminology.refusal import Unanswerable, shown, unsupported
from fhir_server.terminology.value_set import Filter

CODE_ITSELF = ("concept", "code")
"""Names of the concept itself as a filter's property."""
_FALSE_BY_DEFAULT = ("inactive", "notSelectable")
"""Properties that a concept has as false when it does not say (http://hl7.org/fhir/concept-properties)."""
_DEFINED = frozenset(("display", "definition", "parent", "child", "status", *_FALSE_BY_DEFAULT))

Selected = set[int]


def select(system: CodeSystem, rule: Filter) -> Selected:
    """Positions of the concepts that `rule` selects. Raises Unanswerable."""
    operator = _OPERATORS.get(rule.op)
    if operator is None:
        raise unsupported(f"The filter {_written(rule)} has an operator that R4 does not define.")
    return operator(system, rule)


def _everything(system: CodeSystem) -> Selected:
    return set(range(len(system.codes)))


def _is_a(system: CodeSystem, rule: Filter) -> Selected:
    return system.below(_concept(system, rule))


def _descendent_of(system: CodeSystem, rule: Filter) -> Selected:
    position = _concept(system, rule)
    return system.below(position) - {position}


def _is_not_a(system: CodeSystem, rule: Filter) -> Selected:
    return _everything(system) - _is_a(system, rule)


def _generalizes(system: CodeSystem, rule: Filter) -> Selected:
    return system.above(_concept(system, rule))


def _concept(system: CodeSystem, rule: Filter) -> int:
    """The concept that a filter by subsumption starts at."""
    if rule.property not in CODE_ITSELF:
        raise unsupported(f"The filter {_written(rule)}: {rule.op} takes the property concept here.")
    return system.place(rule.value)


def _equals(system: CodeSystem, rule: Filter) -> Selected:
    return _with_values(system, rule, frozenset((rule.value,)))


def _in(system: CodeSystem, rule: Filter) -> Selected:
    return _with_values(system, rule, frozenset(part.strip() for part in rule.value.split(",")))


def _not_in(system: CodeSystem, rule: Filter) -> Selected:
    return _everything(system) - _in(system, rule)


def _with_values(system: CodeSystem, rule: Filter, wanted: frozenset[str]) -> Selected:
    if rule.property in CODE_ITSELF:
        return {at for code in wanted if (at := system.position(code)) is not None}
    values = _values(system, rule)
    found = {position for position, own in values.items() if not wanted.isdisjoint(own)}
    if rule.property in _FALSE_BY_DEFAULT and "false" in wanted:
        found |= _everything(system) - values.keys()
    return found


def _exists(system: CodeSystem, rule: Filter) -> Selected:
    if rule.value not in ("true", "false"):
        raise Unanswerable(f"The filter {_written(rule)}: exists takes true or false.", code="invalid")
    having = _everything(system) if rule.property in CODE_ITSELF else set(_values(system, rule))
    return having if rule.value == "true" else _everything(system) - having


def _regex(system: CodeSystem, rule: Filter) -> Selected:
    """The whole value has to match (docs/spec-clarifications/terminology.md, term-6)."""
    try:
        matches = compiled(rule.value).fullmatch
    except EvaluationError as error:
        raise Unanswerable(f"The filter {_written(rule)}: {error}.", code="invalid") from error
    if rule.property in CODE_ITSELF:
        return {position for position, code in enumerate(system.codes) if matches(code)}
    return {position for position, own in _values(system, rule).items() if any(map(matches, own))}


def _values(system: CodeSystem, rule: Filter) -> Mapping[int, tuple[str, ...]]:
    """position -> values of the filter's property, which the code system must know (R4 codesystem.html#properties)."""
    name = rule.property
    values = system.properties.get(name)
    if values is not None:
        return values
    if name in system.declared or name in _DEFINED:
        return {}
    raise unsupported(
        f"The filter {_written(rule)}: the code system {shown(system.canonical)} has no property {shown(name)!r}."
    )


def _written(rule: Filter) -> str:
    return shown(f"{rule.property} {rule.op} {rule.value!r}")


_OPERATORS: dict[str, Callable[[CodeSystem, Filter], Selected]] = {
    "=": _equals,
    "is-a": _is_a,
    "descendent-of": _descendent_of,
    "is-not-a": _is_not_a,
    "regex": _regex,
    "in": _in,
    "not-in": _not_in,
    "generalizes": _generalizes,
    "exists": _exists,
}
