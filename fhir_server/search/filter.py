"""`_filter`: a search as one expression (R4 search_filter.html).

Logical operators are taken from left to right, without precedence among them; `not` needs brackets.
"""

from __future__ import annotations

import re
from dataclasses import replace

from fhir_server.errors import InvalidSearch, too_costly
from fhir_server.search.criteria import UnknownParameter, applies, condition, target_types
from fhir_server.search.modifiers import ENDS_WITH, IS
from fhir_server.search.registry import R4, Registry
from fhir_server.search.request import AllOf, AnyOf, Chained, Condition, Criterion, NoneOf

LONGEST = 10_000
"""Characters of a filter."""
DEEPEST = 20
"""Brackets within brackets."""
MOST_READINGS = 1_000
"""What stands in brackets behind a reference is read once for each type that it may refer to."""

_TOKEN = re.compile(r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<symbol>[()\[\]])|(?P<word>[^\s()\[\]"]+))', re.DOTALL)
_NAMESPACES = {
    "loinc": "http://loinc.org",
    "snomed": "http://snomed.info/sct",
    "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "ucum": "http://unitsofmeasure.org",
}
"""Codes that stand for namespaces (R4 search_filter.html#ops)."""
_SPACE = re.compile(r"\s*\Z")
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_\-:]*(?:\.[A-Za-z_][A-Za-z0-9_\-:]*)*", re.ASCII)
_ESCAPED = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t"}

_ORDERED = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
_OPERATORS: dict[str, tuple[str, ...]] = {
    "string": ("eq", "ne", "co", "sw", "ew"),
    "token": ("eq", "ne", "in", "ni", "ss", "sb"),
    "reference": ("eq", "ne", "re"),
    "uri": ("eq", "ne", "sw"),
    "date": (*_ORDERED, "po"),
    "number": _ORDERED,
    "quantity": _ORDERED,
}
"""By the type of parameter; `pr` goes with all of them."""


def parse_filter(resource_type: str, text: str, registry: Registry = R4) -> Condition:
    """What the expression asks of a resource of `resource_type`. Raises InvalidSearch, which names the column."""
    if len(text) > LONGEST:
        raise too_costly(f"A '_filter' has at most {LONGEST} characters: send several searches.")
    reader = _Reader(registry, _tokens(text))
    found = reader.filter(resource_type, 0)
    reader.end()
    return found


def _tokens(text: str) -> list[tuple[str, str, int]]:
    """(kind, text, column) of each."""
    found, at = [], 0
    while not _SPACE.match(text, at):
        match = _TOKEN.match(text, at)
        if match is None:
            raise InvalidSearch(f"'_filter' cannot be read from column {at + 1}: a string is not closed.")
        kind = match.lastgroup or ""
        found.append((kind, match[kind], match.start(kind) + 1))
        at = match.end()
    return [*found, ("end", "", len(text) + 1)]


class _Reader:
    def __init__(self, registry: Registry, tokens: list[tuple[str, str, int]]) -> None:
        self._registry = registry
        self._tokens = tokens
        self._at = 0
        self._readings = 0

    def filter(self, resource_type: str, depth: int) -> Condition:
        """filter = one *(("and" / "or") one)"""
        if depth > DEEPEST:
            raise too_costly(f"'_filter' has more than {DEEPEST} brackets within brackets.")
        found = self._one(resource_type, depth)
        while self._tokens[self._at][1] in ("and", "or") and self._tokens[self._at][0] == "word":
            kind = AllOf if self._next()[1] == "and" else AnyOf
            other = self._one(resource_type, depth)
            # Runs of the same operator stay flat.
            parts = found.parts if isinstance(found, kind) else (found,)
            found = kind((*parts, other))
        return found

    def end(self) -> None:
        if self._tokens[self._at][0] != "end":
            raise _wrong(self._tokens[self._at], "the end, 'and' or 'or'")

    def _one(self, resource_type: str, depth: int) -> Condition:
        if self._tokens[self._at][1] == "not" and self._tokens[self._at + 1][1] == "(":
            self._next()
            return NoneOf(self._bracketed(resource_type, depth))
        if self._tokens[self._at][1] == "(":
            return self._bracketed(resource_type, depth)
        return self._comparison(resource_type, depth)

    def _bracketed(self, resource_type: str, depth: int) -> Condition:
        self._expect("(")
        found = self.filter(resource_type, depth + 1)
        self._expect(")")
        return found

    def _comparison(self, resource_type: str, depth: int, *, behind: bool = False) -> Condition:
        """paramPath compareOp compValue; paramPath = name ["[" filter "]" "." paramPath]

        `behind`: the path begins with the dot behind a bracket.
        """
        kind, path, column = token = self._next()
        if behind:
            path = path[1:] if path.startswith(".") else ""
        if kind != "word" or not _PATH.fullmatch(path):
            raise _wrong(token, "a search parameter")
        if self._tokens[self._at][1] == "[":
            return self._narrowed(resource_type, path, column, depth)
        operator = self._next()
        value = self._next()
        if operator[0] != "word":
            raise _wrong(operator, "an operator behind the parameter")
        if value[0] not in ("string", "word"):
            raise _wrong(value, "a value behind the operator")
        return self._compare(resource_type, path, operator, value, column)

    def _narrowed(self, resource_type: str, path: str, column: int, depth: int) -> Condition:
        """`reference[filter].path`: the same resource satisfies the filter and the rest."""
        definition = self._registry.definitions(resource_type).get(path)
        if definition is None or definition.search_type != "reference":
            raise self._unsupported(f"{path!r} is no reference of {resource_type}, which alone can be narrowed", column)
        self._expect("[")
        start, end = self._at, 0
        parts: list[Condition] = []
        refusal: InvalidSearch | None = None
        for target in target_types(definition):
            self._readings += 1
            if self._readings > MOST_READINGS:
                raise too_costly(f"'_filter' narrows references to too many types (column {column}).")
            self._at = start
            try:
                inner = self.filter(target, depth + 1)
                self._expect("]")
                parts.append(Chained(path, target, AllOf((inner, self._comparison(target, depth + 1, behind=True)))))
                end = self._at
            except InvalidSearch as reason:
                refusal = refusal or reason
        if not parts:
            assert refusal is not None
            raise refusal
        self._at = end
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _compare(
        self, resource_type: str, path: str, operator: tuple[str, str, int], value: tuple[str, str, int], column: int
    ) -> Condition:
        try:
            found = condition(resource_type, path, "x", self._registry)
        except UnknownParameter:
            raise self._unsupported(f"{path!r} is not a search parameter of {resource_type}", column) from None
        search_type = self._search_type(found, resource_type)
        op, text = operator[1], self._text(value)
        if op == "pr":
            if text not in ("true", "false"):
                raise InvalidSearch(f"'pr' in '_filter' takes true or false (column {value[2]}).")
            return _leaf(found, "missing", "false" if text == "true" else "true")
        if op not in _OPERATORS.get(search_type, ()):
            raise self._unsupported(f"{op[:20]!r} does not go with {path!r}", operator[2])
        if value[0] == "word" and op not in ("in", "ni"):
            text = _with_namespace(text, search_type)
        return _compared(found, search_type, op, _escaped(value[0], text, search_type))

    def _search_type(self, found: Condition, resource_type: str) -> str:
        """The type of the parameter at the end of the path."""
        while isinstance(found, Chained):
            definition = self._registry.definitions(resource_type)[found.code]
            types = (found.target,) if found.target else target_types(definition)
            inner = found.condition
            resource_type = next(one for one in types if applies(inner, one, self._registry))
            found = inner
        if not isinstance(found, Criterion) or found.modifier:
            return ""
        known = self._registry.definitions(resource_type).get(found.code)
        if known is not None:
            return known.search_type
        return {"_id": "token", "_lastUpdated": "date"}.get(found.code, "")

    def _text(self, value: tuple[str, str, int]) -> str:
        kind, text, column = value
        if kind != "string":
            return text

        def plain(match: re.Match[str]) -> str:
            if match[1] not in _ESCAPED:
                raise InvalidSearch(f"'_filter' has an unknown escape \\{match[1]} in the string at column {column}.")
            return _ESCAPED[match[1]]

        return re.sub(r"\\(.)", plain, text[1:-1], flags=re.DOTALL)

    def _next(self) -> tuple[str, str, int]:
        token = self._tokens[self._at]
        if token[0] != "end":
            self._at += 1
        return token

    def _expect(self, symbol: str) -> None:
        token = self._next()
        if token[1] != symbol:
            raise _wrong(token, repr(symbol))

    def _unsupported(self, problem: str, column: int) -> InvalidSearch:
        return InvalidSearch(f"'_filter': {problem} (column {column}).", code="not-supported")


def _wrong(token: tuple[str, str, int], expected: str) -> InvalidSearch:
    return InvalidSearch(f"'_filter' cannot be read at column {token[2]}: expected {expected}.")


def _compared(found: Condition, search_type: str, op: str, value: str) -> Condition:
    if op == "ne" and search_type in ("string", "token", "reference", "uri"):
        return AllOf((_leaf(found, "missing", "false"), NoneOf(_compared(found, search_type, "eq", value))))
    if op == "ni":
        return NoneOf(_leaf(found, "in", value))
    if op == "po":
        return AllOf((_leaf(found, "", f"ge{value}"), _leaf(found, "", f"le{value}")))
    if search_type in ("date", "number", "quantity"):
        return _leaf(found, "", op + value)
    modifier = _MODIFIER.get((search_type, op), "")
    return _leaf(found, modifier, value)


_MODIFIER = {
    ("string", "eq"): IS,
    ("string", "co"): "contains",
    ("string", "ew"): ENDS_WITH,
    ("token", "in"): "in",
    ("token", "ss"): "below",
    ("token", "sb"): "above",
    ("uri", "sw"): "below",
}


def _leaf(found: Condition, modifier: str, value: str) -> Condition:
    """The condition with another comparison at its end."""
    match found:
        case Chained(condition=inner):
            return replace(found, condition=_leaf(inner, modifier, value))
        case Criterion():
            return replace(found, modifier=modifier, values=(value,))
    raise TypeError(f"no path leads to {type(found).__name__}")


def _with_namespace(text: str, search_type: str) -> str:
    """`loinc|1234-5` and `5|ucum|mg` with the namespaces meant."""
    place = {"token": 0, "quantity": 1}.get(search_type)
    parts = text.split("|")
    if place is None or len(parts) < place + 2:
        return text
    return "|".join((*parts[:place], _NAMESPACES.get(parts[place], parts[place]), *parts[place + 1 :]))


def _escaped(kind: str, text: str, search_type: str) -> str:
    """The value as a parameter has it: | and $ separate only in what stands without quotes (search.html#escaping)."""
    separators = r"[\\,]" if kind == "word" and search_type in ("token", "quantity", "uri", "reference") else r"[\\,|$]"
    return re.sub(separators, lambda match: "\\" + match[0], text)
