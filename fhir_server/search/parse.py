"""From the name=value pairs of a search to a SearchRequest (R4 search.html)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fhir_server.errors import InvalidSearch, too_costly
from fhir_server.search.definitions import definitions
from fhir_server.search.matching import split
from fhir_server.search.request import Criterion, Ignored, SearchRequest, SortRule
from fhir_server.search.sorting import is_sortable

TRANSPORT_PARAMETERS = frozenset(("_format", "_pretty", "_cursor"))
"""Parameters of the exchange that are neither criteria nor part of the request."""

MOST_CRITERIA = 50
"""Most parameters that must all hold."""
MOST_VALUES = 1000
"""Most values of all parameters together."""
MOST_SORT_KEYS = 8
"""Most different keys of `_sort`: each costs a look-up for every match."""

_NOT_SUPPORTED = {
    "_has": "reverse chaining",
    "_include": "including other resources",
    "_revinclude": "including other resources",
    "_filter": "the filter language",
    "_query": "named queries",
    "_list": "searching by list",
    "_text": "text search",
    "_content": "text search",
    "_contained": "searching contained resources",
    "_containedType": "searching contained resources",
}
"""Parameters that would change which resources are found: refused, because ignoring one would widen the answer."""

_TOTALS = frozenset(("none", "estimate", "accurate"))
_SUMMARIES = frozenset(("true", "false", "text", "data", "count"))


def parse_search(resource_type: str, pairs: Iterable[tuple[str, str]], *, strict: bool) -> SearchRequest:
    """The search that `pairs` (decoded, in the order sent) ask for.

    Unknown and empty parameters are left out and named in `ignored`, or refused when `strict`
    (R4 search.html#errors). Raises InvalidSearch for modifiers and for values that cannot be read.
    """
    parser = _Parser(resource_type, strict)
    for name, value in pairs:
        if name not in TRANSPORT_PARAMETERS:
            parser.add(name, value)
    return parser.request()


class _Parser:
    def __init__(self, resource_type: str, strict: bool) -> None:
        self._resource_type = resource_type
        self._strict = strict
        self._known = definitions(resource_type)
        self._criteria: list[Criterion] = []
        self._values = 0
        self._sort: list[SortRule] = []
        self._count: int | None = None
        self._total = "none"
        self._used: list[tuple[str, str]] = []
        self._ignored: list[Ignored] = []

    def add(self, name: str, value: str) -> None:
        if name in self._known or name in ("_id", "_lastUpdated"):
            self._add_criterion(name, value)
        elif name in _CONTROLS:
            honoured = _CONTROLS[name](self, value)
            if honoured:
                self._used.append((name, honoured))
        else:
            self._refuse_unsupported(name)
            self._ignore(name, f"'{name}' is not a search parameter of {self._resource_type} on this server.")

    def request(self) -> SearchRequest:
        return SearchRequest(
            self._resource_type,
            tuple(self._criteria),
            tuple(self._sort),
            self._count,
            self._total,
            tuple(self._used),
            tuple(self._ignored),
        )

    def _add_criterion(self, code: str, value: str) -> None:
        values = (value,) if "," not in value else tuple(part for part in split(value, ",") if part)
        if not value or not values:
            self._ignore(code, f"'{code}' has no value.", issue="invalid")
            return
        self._values += len(values)
        if len(self._criteria) == MOST_CRITERIA:
            raise too_costly(
                f"A search takes at most {MOST_CRITERIA} parameters: give alternatives as one, separated by commas."
            )
        if self._values > MOST_VALUES:
            raise too_costly(
                f"A search takes at most {MOST_VALUES} values in all, '{code}' goes over that: send several searches."
            )
        self._criteria.append(Criterion(code, values))
        self._used.append((code, value))

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
        if what is None and "." in name and name.partition(".")[0].partition(":")[0] in self._known:
            what = "chained search"
        if what is not None:
            raise InvalidSearch(
                f"This server does not support {what} ('{name}'). Search without it.", code="not-supported"
            )
        if colon and (bare in self._known or bare in _CONTROLS or bare in ("_id", "_lastUpdated")):
            raise InvalidSearch(
                f"The modifier ':{modifier}' of '{bare}' is not supported; '{bare}' works without modifiers.",
                code="not-supported",
            )

    def _set_count(self, value: str) -> str:
        if not (value.isascii() and value.isdigit() and len(value) < 10):
            raise InvalidSearch(f"_count takes a whole number from 0, got {value[:100]!r}.")
        self._count = int(value)
        return value

    def _set_total(self, value: str) -> str:
        if value not in _TOTALS:
            raise InvalidSearch(f"_total takes none, estimate or accurate, got {value[:100]!r}.")
        self._total = value
        return value

    def _set_summary(self, value: str) -> str:
        if value not in _SUMMARIES:
            raise InvalidSearch(f"_summary takes true, text, data, count or false, got {value[:100]!r}.")
        if value == "count":
            self._count = 0
        elif value != "false":
            self._ignore("_summary", f"_summary={value} is not supported: whole resources are returned.")
            return ""
        return value

    def _set_elements(self, value: str) -> str:
        del value
        self._ignore("_elements", "_elements is not supported: whole resources are returned.")
        return ""

    def _add_sort(self, value: str) -> str:
        honoured = []
        known = {rule.code for rule in self._sort}
        for rule in value.split(","):
            code = rule.removeprefix("-")
            if code in known:
                continue  # what is in order by it already stays as it is
            if is_sortable(self._resource_type, code):
                if len(self._sort) == MOST_SORT_KEYS:
                    raise too_costly(f"_sort takes at most {MOST_SORT_KEYS} different keys.")
                known.add(code)
                self._sort.append(SortRule(code, rule.startswith("-")))
                honoured.append(rule)
            else:
                self._ignore("_sort", f"{self._resource_type} cannot be sorted by {code[:100]!r} on this server.")
        return ",".join(honoured)


_CONTROLS: dict[str, Callable[[_Parser, str], str]] = {
    "_count": _Parser._set_count,
    "_total": _Parser._set_total,
    "_summary": _Parser._set_summary,
    "_elements": _Parser._set_elements,
    "_sort": _Parser._add_sort,
}
"""Parameters about the result; each returns the part of its value that is honoured."""
