"""From the name=value pairs of a search to a SearchRequest (R4 search.html)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_server.errors import InvalidSearch, too_costly
from fhir_server.search.controls import CONTROLS
from fhir_server.search.criteria import NoValue, UnknownParameter, condition, value_count
from fhir_server.search.registry import R4, Registry
from fhir_server.search.request import Condition, Ignored, SearchRequest

TRANSPORT_PARAMETERS = frozenset(("_format", "_pretty", "_cursor"))
"""Parameters of the exchange that are neither criteria nor part of the request."""

MOST_CRITERIA = 50
"""Most parameters that must all hold."""
MOST_VALUES = 1000
"""Most values of all parameters together."""

_NOT_SUPPORTED = {
    "_query": "named queries",
    "_filter": "the filter language",
    "_content": "text search in whole resources",
    "_contained": "searching contained resources",
    "_containedType": "searching contained resources",
    "_include": "including other resources",
    "_revinclude": "including other resources",
}
"""Parameters that would change which resources are found: refused, because ignoring one would widen the answer."""


def parse_search(
    resource_type: str, pairs: Iterable[tuple[str, str]], *, strict: bool, registry: Registry = R4
) -> SearchRequest:
    """The search that `pairs` (decoded, in the order sent) ask for.

    Unknown and empty parameters are left out and named in `ignored`, or refused when `strict`
    (R4 search.html#errors). Raises InvalidSearch for modifiers and for values that cannot be read.
    """
    parser = _Parser(registry, resource_type, strict)
    for name, value in pairs:
        if name not in TRANSPORT_PARAMETERS:
            parser.add(name, value)
    return parser.request()


class _Parser:
    def __init__(self, registry: Registry, resource_type: str, strict: bool) -> None:
        self._registry = registry
        self._resource_type = resource_type
        self._strict = strict
        self._criteria: list[Condition] = []
        self._values = 0
        self._controls: dict[str, Any] = {}
        self._used: list[tuple[str, str]] = []
        self._ignored: list[Ignored] = []

    def add(self, name: str, value: str) -> None:
        self._refuse_unsupported(name)
        control = CONTROLS.get(name)
        if control is not None:
            honoured = control(self._registry, self._resource_type, self._controls, value)
            self._controls |= honoured.changes
            for reason in honoured.ignored:
                self._ignore(name, reason, issue=honoured.issue)
            if honoured.value:
                self._used.append((name, honoured.value))
            return
        try:
            self._add_criterion(name, value)
        except NoValue:
            self._ignore(name, f"'{name}' has no value.", issue="invalid")
        except UnknownParameter:
            self._ignore(name, f"'{name}' is not a search parameter of {self._resource_type} on this server.")

    def request(self) -> SearchRequest:
        return SearchRequest(
            self._resource_type,
            tuple(self._criteria),
            used=tuple(self._used),
            ignored=tuple(self._ignored),
            **self._controls,
        )

    def _add_criterion(self, name: str, value: str) -> None:
        found = condition(self._resource_type, name, value, self._registry)
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
