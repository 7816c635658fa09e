"""From the name=value pairs of a search to a SearchRequest (R4 search.html)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_server import spec
from fhir_server.errors import InvalidSearch, too_costly
from fhir_server.search.controls import CONTROLS
from fhir_server.search.criteria import NoValue, UnknownParameter, applies, condition, value_count
from fhir_server.search.filter import parse_filter
from fhir_server.search.registry import R4, Registry
from fhir_server.search.request import AllOf, Condition, Criterion, Ignored, SearchRequest

TRANSPORT_PARAMETERS = frozenset(("_format", "_pretty", "_cursor"))
"""Parameters of the exchange that are neither criteria nor part of the request."""

MOST_CRITERIA = 50
"""Most parameters that must all hold."""
MOST_VALUES = 1000
"""Most values of all parameters together."""

_NOT_SUPPORTED = {
    "_query": "named queries",
}
"""Parameters that would change which resources are found: refused, because ignoring one would widen the answer."""


def parse_search(
    resource_type: str, pairs: Iterable[tuple[str, str]], *, strict: bool, registry: Registry = R4
) -> SearchRequest:
    """The search that `pairs` (decoded, in the order sent) ask for.

    Unknown and empty parameters are left out and named in `ignored`, or refused when `strict`
    (R4 search.html#errors). Raises InvalidSearch for modifiers and for values that cannot be read.
    """
    return parse_types((resource_type,), pairs, strict=strict, registry=registry)


def parse_types(
    types: tuple[str, ...],
    pairs: Iterable[tuple[str, str]],
    *,
    strict: bool,
    compartment: tuple[str, str] | None = None,
    registry: Registry = R4,
) -> SearchRequest:
    """`parse_search` of one or several types, at the base or in a compartment.

    A search of several types takes the parameters that all of them have (R4 search.html#type).
    """
    parser = _Parser(registry, types, strict, compartment)
    for name, value in pairs:
        if name not in TRANSPORT_PARAMETERS:
            parser.add(name, value)
    return parser.request()


def type_names(value: str) -> tuple[str, ...]:
    """The types that a value of `_type` names. Raises InvalidSearch for one that R4 has not."""
    names = tuple(dict.fromkeys(name for name in value.split(",") if name))
    unknown = [name for name in names if name not in spec.RESOURCE_TYPES]
    if unknown:
        raise InvalidSearch(f"'_type' names {unknown[0][:100]!r}, which is no resource type of R4.")
    return names


class _Parser:
    def __init__(
        self, registry: Registry, types: tuple[str, ...], strict: bool, compartment: tuple[str, str] | None
    ) -> None:
        self._registry = registry
        self._types = types
        self._compartment = compartment
        self._strict = strict
        self._criteria: list[Condition] = []
        self._values = 0
        self._controls: dict[str, Any] = {}
        self._used: list[tuple[str, str]] = []
        self._ignored: list[Ignored] = []

    def add(self, name: str, value: str) -> None:
        self._refuse_unsupported(name)
        control = CONTROLS.get(name)
        if control is not None and value:
            honoured = control(self._registry, self._types, self._controls, value)
            self._controls |= honoured.changes
            for reason in honoured.ignored:
                self._ignore(name, reason, issue=honoured.issue)
            if honoured.value:
                self._used.append((name, honoured.value))
            return
        try:
            if control is not None:
                raise NoValue
            self._add_criterion(name, value)
        except NoValue:
            self._ignore(name, f"'{name}' has no value.", issue="invalid")
        except UnknownParameter:
            reason = f"'{name}' is not a search parameter of {self._of_types(name)} on this server."
            if self._is_of_some(name):
                # R4 http.html#vsearch: an error, while what no type has may be ignored.
                raise InvalidSearch(f"{reason} Name the types that have it in _type.", code="not-supported") from None
            self._ignore(name, reason)

    def request(self) -> SearchRequest:
        if self._controls.get("summary") == "text" and self._controls.get("includes"):
            raise InvalidSearch("_summary=text goes without _include and _revinclude (R4 search.html#summary).")
        one = len(self._types) == 1
        return SearchRequest(
            self._types[0] if one else "",
            tuple(self._criteria),
            used=tuple(self._used),
            ignored=tuple(self._ignored),
            several=() if one else self._types,
            compartment=self._compartment,
            **self._controls,
        )

    def _add_criterion(self, name: str, value: str) -> None:
        found = self._condition(name, value)
        self._values += value_count(found)
        if len(self._criteria) == MOST_CRITERIA:
            raise too_costly(
                f"A search takes at most {MOST_CRITERIA} parameters: give alternatives as one, separated by commas."
            )
        if self._values > MOST_VALUES:
            raise too_costly(
                f"A search takes at most {MOST_VALUES} values in all, '{name}' goes over that: send several searches."
            )
        self._criteria.append(found)
        self._used.append((name, value))

    def _condition(self, name: str, value: str) -> Condition:
        """What the parameter asks of each of the types. Raises UnknownParameter when one of them has none such."""
        if name == "_type":
            return self._type_condition(value)
        if name == "_filter":
            found = self._filter_condition(value)
        else:
            found = condition(self._types[0], name, value, self._registry)
        if len(self._types) > 1 and not all(applies(found, one, self._registry) for one in self._types):
            raise UnknownParameter
        return found

    def _filter_condition(self, value: str) -> Condition:
        if not value.strip():
            raise NoValue
        return parse_filter(self._types[0], value, self._registry)

    def _type_condition(self, value: str) -> Condition:
        """`_type` beside a type in the URL holds for every resource found, or for none."""
        wanted = type_names(value)
        if not wanted:
            raise NoValue
        if not all(one in wanted for one in self._types):
            return Criterion("_id", ())
        return AllOf(())

    def _is_of_some(self, name: str) -> bool:
        """Whether one of several types searched has the parameter."""
        code = name.partition(".")[0].partition(":")[0]
        return len(self._types) > 1 and any(code in self._registry.definitions(one) for one in self._types)

    def _of_types(self, name: str) -> str:
        """The type searched, or the first one that has not got the parameter."""
        if len(self._types) == 1:
            return self._types[0]
        for one in self._types:
            try:
                condition(one, name, "-", self._registry)
            except UnknownParameter:
                return f"{one}, so that it cannot be asked of all {len(self._types)} types searched,"
            except InvalidSearch:
                continue
        return "all types searched"

    def _ignore(self, name: str, reason: str, *, issue: str = "not-supported") -> None:
        if self._strict:
            raise InvalidSearch(
                f"{reason} Leave it out; a search may also send Prefer: handling=lenient to have it ignored.",
                code=issue,
            )
        self._ignored.append(Ignored(name, reason))

    def _refuse_unsupported(self, name: str) -> None:
        bare, colon, modifier = name.partition(":")
        what = _NOT_SUPPORTED.get(bare)
        if what is not None:
            raise InvalidSearch(
                f"This server does not support {what} ('{name}'). Search without it.", code="not-supported"
            )
        if colon and bare in CONTROLS and name not in CONTROLS:
            raise InvalidSearch(f"'{bare}' takes no modifier ':{modifier[:100]}'.", code="not-supported")
