"""Whether one element satisfies one search value, for each type of parameter (R4 search.html#ptypes)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tests.oracle import ranges
from tests.oracle.expressions import Json, Value
from tests.oracle.ranges import Refused, Span
from tests.oracle.text import family_parts, folded, strings
from tests.oracle.units import BASE, UCUM

_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)
_LITERAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?", re.ASCII)


def split(text: str, separator: str) -> list[str]:
    """The parts between separators that no backslash escapes (R4 search.html#escaping), still escaped."""
    parts, start, position = [], 0, 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] == separator:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    return [*parts, text[start:]]


def unescape(text: str) -> str:
    """R4 search.html#escaping: a backslash before anything but \\ , | $ is illegal."""

    def plain(match: re.Match[str]) -> str:
        if match[1] not in ("\\", ",", "|", "$") or not match[1]:
            raise Refused(f"illegal escape in {text!r}")
        return match[1]

    return _ESCAPE.sub(plain, text)


@dataclass(frozen=True)
class Context:
    """Where the search runs, and the system that a `code` of the parameter has implicitly."""

    base_url: str
    time_zone: str
    implied: str
    targets: tuple[str, ...] = ()


Test = Callable[[Value], bool]


# --- token ---------------------------------------------------------------------------------------------------------


def token(text: str, context: Context, types: frozenset[str]) -> Test:
    """`code`, `system|code`, `|code` or `system|`."""
    parts = split(text, "|")
    if len(parts) > 2 or not any(parts):
        raise Refused(f"no token: {text!r}")
    if len(parts) == 2 and types == {"ContactPoint"}:
        raise Refused("R4 search.html#token: | SHALL NOT be used for a ContactPoint")
    system = None if len(parts) == 1 else unescape(parts[0])
    code = unescape(parts[-1])
    if types and types <= {"boolean", "System.Boolean"} and code not in ("true", "false"):
        raise Refused(f"no boolean: {text!r}")

    def test(value: Value) -> bool:
        return any(_same_token(system, code, each) for each in tokens(value, context))

    return test


@dataclass(frozen=True)
class Token:
    system: str
    code: str
    kind: str = ""
    """`code`: the system is implied. `string`, `contact`, `boolean`, `plain`: there is none."""


def tokens(value: Value, context: Context) -> list[Token]:
    data = value.data
    match value.type:
        case "CodeableConcept":
            return [Token(c.get("system", ""), c.get("code", "")) for c in data.get("coding", [])]
        case "Coding":
            return [Token(data.get("system", ""), data.get("code", ""))]
        case "Identifier":
            return [Token(data.get("system", ""), data.get("value", ""))]
        case "ContactPoint":
            return [Token("", contact(data["value"]), "contact")] if data.get("value") else []
        case "boolean" | "System.Boolean":
            return [Token("", "true" if data else "false", "boolean")]
        case "code":
            return [Token(context.implied, data, "code")]
        case "string" | "markdown":
            return [Token("", data.casefold(), "string")]
    assert isinstance(data, str), value
    return [Token("", data, "plain")]


def contact(text: str) -> str:
    """Phone numbers without spaces, brackets, dots, dashes (and slashes); other contacts without case (search-6)."""
    stripped = text.strip()
    if re.fullmatch(r"[0-9\s().+/-]+", stripped, re.ASCII):
        return re.sub(r"[\s().\-/]", "", stripped)
    return stripped.casefold()


def _same_token(system: str | None, code: str, token: Token) -> bool:
    wanted = contact(code) if token.kind == "contact" else code.casefold() if token.kind == "string" else code
    if wanted and wanted != token.code:
        return False
    if token.kind == "boolean":
        return bool(wanted)
    if system is None:
        return True
    if token.kind == "code" and not system:
        return True
    return system == token.system


def token_text(text: str) -> Test:
    """`:text`: a string search of CodeableConcept.text, Coding.display and Identifier.type.text."""
    wanted = _searched_string(text)

    def test(value: Value) -> bool:
        data = value.data
        found: list[str] = []
        if value.type == "CodeableConcept":
            found = [data.get("text", ""), *(c.get("display", "") for c in data.get("coding", []))]
        elif value.type == "Coding":
            found = [data.get("display", "")]
        elif value.type == "Identifier":
            found = [data.get("type", {}).get("text", "")]
        return any(each and folded(each).startswith(wanted) for each in found)

    return test


def of_type(text: str) -> Test:
    """`:of-type`: system|code|value, all present."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) != 3 or not all(parts):
        raise Refused(f"no system|code|value: {text!r}")
    system, code, wanted = parts

    def test(value: Value) -> bool:
        codings = value.data.get("type", {}).get("coding", []) if value.type == "Identifier" else []
        return any(
            c.get("system") == system and c.get("code") == code and value.data.get("value") == wanted for c in codings
        )

    return test


# --- string --------------------------------------------------------------------------------------------------------


def _searched_string(text: str) -> str:
    wanted = folded(unescape(text))
    if not wanted:
        raise Refused(f"nothing to search for in {text!r}")
    return wanted


def string(text: str) -> Test:
    wanted = _searched_string(text)
    return lambda value: any(folded(each).startswith(wanted) for each in searched_strings(value))


def searched_strings(value: Value) -> list[str]:
    found = strings(value.type, value.data)
    if value.type == "HumanName":
        found = found + family_parts(value.data.get("family", ""))
    elif value.type == "family":
        found = found + family_parts(value.data)
    return found


def string_contains(text: str) -> Test:
    wanted = _searched_string(text)
    return lambda value: any(wanted in folded(each) for each in strings(value.type, value.data))


def string_exact(text: str) -> Test:
    wanted = unescape(text)
    return lambda value: wanted in strings(value.type, value.data)


# --- date, number, quantity ----------------------------------------------------------------------------------------


def date(text: str, context: Context) -> Test:
    prefix, rest = ranges.prefix_of(unescape(text))
    searched = ranges.date_span(rest.replace(" ", "+"), context.time_zone)
    if searched is None:
        raise Refused(f"no date: {text!r}")
    if prefix == "ap":
        searched = ranges.approximate_date(searched, context.time_zone)

    def test(value: Value) -> bool:
        span = date_range(value, context.time_zone)
        return span is not None and ranges.compare(prefix, span, searched)

    return test


def date_range(value: Value, zone: str) -> Span | None:
    match value.type:
        case "Period":
            return ranges.period_span(value.data, zone)
        case "Timing":
            return ranges.timing_span(value.data, zone)
        case "instant":
            span = ranges.date_span(value.data, zone)
            return span and Span(span.low, span.low)
        case "date" | "dateTime":
            return ranges.date_span(value.data, zone)
    return None


def number(text: str) -> Test:
    prefix, rest = ranges.prefix_of(unescape(text))
    searched = ranges.number(rest)
    if searched is None:
        raise Refused(f"no number: {text!r}")

    def test(value: Value) -> bool:
        if value.type == "Range":
            ends = [(value.data.get(end) or {}).get("value") for end in ("low", "high")]
            low, high = (None if end is None else Fraction(end) for end in ends)
            return ends != [None, None] and ranges.compare_number(prefix, low, high, searched)
        if value.type not in ("decimal", "integer", "positiveInt", "unsignedInt"):
            return False
        stored = Fraction(value.data)
        return ranges.compare_number(prefix, stored, stored, searched)

    return test


def quantity(text: str) -> Test:
    """`number`, `number|system|code` or `number||unit`."""
    parts = split(text, "|")
    if len(parts) not in (1, 3):
        raise Refused(f"no quantity: {text!r}")
    system, unit = (unescape(parts[1]), unescape(parts[2])) if len(parts) == 3 else ("", "")
    if system and not unit:
        raise Refused(f"a system without a code: {text!r}")
    prefix, rest = ranges.prefix_of(unescape(parts[0]))
    searched = ranges.number(rest)
    if searched is None:
        raise Refused(f"no number: {text!r}")
    exact = searched

    def test(value: Value) -> bool:
        for factor, low, high in _extents(value, system, unit):
            if ranges.compare_number(prefix, low, high, exact.times(factor)):
                return True
        return False

    return test


def _extents(value: Value, system: str, unit: str) -> list[tuple[Fraction, Fraction | None, Fraction | None]]:
    """(factor for the searched number, low, high) of an element, if its unit is the one searched."""
    if value.type == "Range":
        low = _amount(value.data.get("low", {}), system, unit)
        high = _amount(value.data.get("high", {}), system, unit)
        if low is None and high is None:
            return []
        known = low or high
        assert known is not None
        return [(known[0], low[1] if low else None, high[1] if high else None)]
    if value.type in ("Quantity", "Age", "Duration", "Count", "Distance", "SimpleQuantity"):
        found = _amount(value.data, system, unit)
        return [(found[0], found[1], found[1])] if found else []
    return []


def _amount(data: Json, system: str, unit: str) -> tuple[Fraction, Fraction] | None:
    """(factor, number) of a quantity in the unit searched, both in base units where UCUM says how."""
    if data.get("value") is None:
        return None
    amount = Fraction(data["value"])
    if not unit:
        return Fraction(1), amount
    if not system:
        return (Fraction(1), amount) if unit in (data.get("code"), data.get("unit")) else None
    if data.get("system") != system:
        return None
    if system == UCUM and unit in BASE and data.get("code") in BASE:
        searched, stored = BASE[unit], BASE[data["code"]]
        return (searched[0], amount * stored[0]) if searched[1] == stored[1] else None
    return (Fraction(1), amount) if data.get("code") == unit else None


# --- reference and uri ---------------------------------------------------------------------------------------------


def literal(text: str, base_url: str) -> tuple[str, str] | None:
    """(type, id) of a reference to a resource of this server, whatever version it names."""
    match = _LITERAL.fullmatch(text.removeprefix(f"{base_url}/"))
    return (match[1], match[2]) if match else None


def reference(text: str, context: Context, only: str | None = None) -> Test:
    """An id, Type/id, an absolute URL or a canonical; `only` is the type of a `:[type]` modifier."""
    wanted = unescape(text)
    here = literal(wanted, context.base_url)
    if here is not None:
        return lambda value: (
            (only is None or here[0] == only)
            and (literal_of(value, context) == here or _external_of(value) == f"{context.base_url}/{here[0]}/{here[1]}")
        )
    if ":" in wanted:
        if only is not None:
            raise Refused("R4 search.html#reference: :[type] does not go with an absolute URL")
        return lambda value: _same_url(wanted, _external_of(value))
    if not _ID.fullmatch(wanted):
        raise Refused(f"no reference: {text!r}")
    types = (only,) if only else context.targets
    return lambda value: (found := literal_of(value, context)) is not None and found in {(t, wanted) for t in types}


def literal_of(value: Value, context: Context) -> tuple[str, str] | None:
    text = value.data.get("reference", "") if value.type == "Reference" else value.data
    return literal(text, context.base_url) if value.type == "Reference" or "://" not in text else None


def _external_of(value: Value) -> str:
    return str(value.data.get("reference", "") if value.type == "Reference" else value.data)


def _same_url(wanted: str, stored: str) -> bool:
    """A version is compared only when the search names one (R4 search.html#versions)."""
    url, _, version = wanted.partition("|")
    stored_url, _, stored_version = stored.partition("|")
    return url == stored_url and (not version or version == stored_version)


def canonical_below(text: str) -> Test:
    """`:below` of a canonical: url|version, of which the version counts from its start."""
    url, _, version = unescape(text).partition("|")

    def test(value: Value) -> bool:
        stored, _, stored_version = str(value.data).partition("|")
        return stored == url and (not version or stored_version == version or stored_version.startswith(f"{version}."))

    return test


def reference_identifier(text: str, context: Context) -> Test:
    """`:identifier`: a token search of Reference.identifier."""
    test = token(text, context, frozenset(("Identifier",)))
    return lambda value: (
        value.type == "Reference" and "identifier" in value.data and test(Value("Identifier", value.data["identifier"]))
    )


def uri(text: str) -> Test:
    wanted = unescape(text)
    return lambda value: value.data == wanted or (value.type == "canonical" and _same_url(wanted, value.data))


def uri_below(text: str) -> Test:
    """The search term left-matches the value; URLs only, not URNs (R4 search.html#uri)."""
    wanted = unescape(text)
    return lambda value: _is_url(value.data) and _without_version(value).startswith(wanted)


def uri_above(text: str) -> Test:
    wanted = unescape(text)
    return lambda value: _is_url(value.data) and wanted.startswith(_without_version(value))


def _without_version(value: Value) -> str:
    """search-16: a canonical is above or below by its url."""
    return str(value.data).partition("|")[0] if value.type == "canonical" else str(value.data)


def _is_url(text: Any) -> bool:
    return isinstance(text, str) and not text.startswith("urn:")
