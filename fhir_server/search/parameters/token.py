"""Tokens: codes, identifiers and other exact values (R4 search.html#token).

Coded values (Coding, CodeableConcept, code, boolean) are number rows whose v is `identity.token(system, code)`.
Identifiers, contact points and plain texts are text rows (value, symbol(system)); an identifier's system is a
number row too, for `system|`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from fhir_server.errors import InvalidSearch
from fhir_server.model.identity import LONGEST_CACHED, hash64, symbol
from fhir_server.model.identity import token as token_hash
from fhir_server.search.definitions import Definition, Source
from fhir_server.search.elements import implied_systems
from fhir_server.search.matching import Matching, any_of, split, unescape, unusable
from fhir_server.search.modifiers import is_mime_type
from fhir_server.search.parameters import presence, string
from fhir_server.search.paths import PRESENT
from fhir_server.storage.query import (
    And,
    Not,
    NumberIn,
    Predicate,
    TextIn,
    TokenCode,
    TokenIn,
    TokenPrefix,
    TokenSystem,
)
from fhir_server.storage.rows import (
    DISPLAY,
    VARIANT_OF_TYPE,
    VARIANT_TEXT,
    IndexRows,
    cut,
)

CODED_TYPES = frozenset(("CodeableConcept", "Coding", "code", "boolean", PRESENT))
_BOOLEAN_TYPES = frozenset(("boolean", PRESENT))
_PHONE = re.compile(r"[\d\s().+/-]+", re.ASCII)
_PHONE_PUNCTUATION = re.compile(r"[\s().\-/]+", re.ASCII)


def entry(system: str, code: str) -> tuple[int, str, str]:
    """The dictionary entry of a token: (hash, system, code)."""
    find = _entry if len(system) + len(code) <= LONGEST_CACHED else _entry.__wrapped__
    return find(system, code)


@lru_cache(maxsize=16384)
def _entry(system: str, code: str) -> tuple[int, str, str]:
    return token_hash(system, code), system, code


def index_coding(rows: IndexRows, p: int, coding: dict[str, Any]) -> None:
    """A coding without a code is found by its system only, as the code "" of it."""
    system, code, display = coding.get("system") or "", coding.get("code") or "", coding.get("display")
    before = len(rows.numbers)
    if system or code:
        found = entry(system, code)
        rows.numbers.append((p, found[0], 0))
        rows.tokens.append(found)
    if display:
        _index_text(rows, p, display)
    if len(rows.numbers) == before:
        presence.note(rows, p, coding)


def index_concept(rows: IndexRows, p: int, concept: dict[str, Any]) -> None:
    codings, text = concept.get("coding"), concept.get("text")
    before = len(rows.numbers)
    for coding in codings or ():
        index_coding(rows, p, coding)
    if text:
        _index_text(rows, p, text)
    if len(rows.numbers) == before:
        presence.note(rows, p, concept)


def _index_text(rows: IndexRows, p: int, text: str) -> None:
    """What `:text` looks for: a token of the dictionary, because most displays stand in many resources."""
    found = _text_entry(text) if len(text) <= LONGEST_CACHED else _text_entry.__wrapped__(text)
    if found is not None:
        rows.numbers.append((p + VARIANT_TEXT, found[0], 0))
        rows.tokens.append(found)


@lru_cache(maxsize=16384)
def _text_entry(text: str) -> tuple[int, str, str] | None:
    folded = cut(string.fold(text))
    return entry(DISPLAY, folded) if folded else None


def index_code(rows: IndexRows, p: int, code: str, systems: dict[str, str]) -> None:
    found = entry(systems.get(code, ""), code)
    rows.numbers.append((p, found[0], 0))
    rows.tokens.append(found)


def index_boolean(rows: IndexRows, p: int, value: bool) -> None:
    found = entry("", "true" if value else "false")
    rows.numbers.append((p, found[0], 0))
    rows.tokens.append(found)


def index_presence(rows: IndexRows, p: int, parent: dict[str, Any], keys: tuple[str, ...]) -> None:
    """Whether one of `keys` is there with another value than false (Patient.deceased)."""
    index_boolean(rows, p, any(parent.get(key) not in (None, False) for key in keys))


def index_identifier(rows: IndexRows, p: int, identifier: dict[str, Any]) -> None:
    system = symbol(identifier.get("system") or "")
    value = identifier.get("value")
    if value:
        rows.texts.append((p, cut(value), system))
    if system:
        rows.numbers.append((p, system, 0))
    elif not value:
        presence.note(rows, p, identifier)
    concept = identifier.get("type")
    if concept:
        _index_identifier_type(rows, p, concept, value or "")


def _index_identifier_type(rows: IndexRows, p: int, concept: dict[str, Any], value: str) -> None:
    if concept.get("text"):
        _index_text(rows, p, concept["text"])
    for coding in concept.get("coding") or ():
        if value and coding.get("code"):
            of_type = _of_type(coding.get("system") or "", coding["code"], value)
            rows.numbers.append((p + VARIANT_OF_TYPE, of_type, 0))


def _of_type(system: str, code: str, value: str) -> int:
    return hash64(f"{system}|{code}|{value}".encode())


def index_contact_point(rows: IndexRows, p: int, contact: dict[str, Any]) -> None:
    value = contact.get("value")
    if value:
        rows.texts.append((p, cut(normal_contact(value)), symbol(contact.get("system") or "")))
    else:
        presence.note(rows, p, contact, symbol(contact.get("system") or ""))


def index_contact_point_of(rows: IndexRows, p: int, contact: dict[str, Any], system: str) -> None:
    """A contact point of one system only (`where(system = ...)`)."""
    if contact.get("system") == system:
        index_contact_point(rows, p, contact)


def index_string(rows: IndexRows, p: int, value: str) -> None:
    rows.texts.append((p, cut(value.casefold()), 0))


def index_uri(rows: IndexRows, p: int, value: str) -> None:
    rows.texts.append((p, cut(value), 0))


def coded(value: Any, type_name: str, binding: str) -> list[tuple[int, str, str]]:
    """The dictionary entries of a coded element (for composites)."""
    if type_name == "CodeableConcept":
        codings = value.get("coding") or ()
        return [entry(c.get("system") or "", c["code"]) for c in codings if c.get("code")]
    if type_name == "Coding":
        return [entry(value.get("system") or "", value["code"])] if value.get("code") else []
    if type_name == "boolean":
        return [entry("", "true" if value else "false")]
    return [entry(implied_systems(binding).get(value, ""), value)]


def normal_contact(value: str) -> str:
    """A phone number without punctuation; anything else without case (R4 search.html#token leaves it open)."""
    text = value.strip()
    return _PHONE_PUNCTUATION.sub("", text) if _PHONE.fullmatch(text) else text.casefold()


def match(definition: Definition, modifier: str, values: tuple[str, ...], matching: Matching) -> Predicate:
    """Resources with one of `values`: `code`, `system|code`, `|code` or `system|`, or what `modifier` makes of them."""
    match modifier:
        case "text":
            return any_of([_texts(definition, source, value) for source in definition.sources for value in values])
        case "of-type":
            return any_of([_typed(definition, source, value) for source in definition.sources for value in values])
        case "below" if is_mime_type(definition):
            return any_of(
                [_with_parameters(source.p, unescape(one)) for source in definition.sources for one in values]
            )
        case "in" | "above" | "below":
            return _concepts(definition, modifier, values, matching)
        case "not-in":
            return Not(_concepts(definition, "in", values, matching))
    parsed = [parse(definition.code, value) for value in values]
    parts: list[Predicate] = []
    for source in definition.sources:
        if definition.element_types & CODED_TYPES:
            parts += _coded_predicates(definition, source.p, parsed)
        if definition.element_types - CODED_TYPES:
            parts += _text_predicates(definition, source, parsed)
    return any_of(parts)


def _texts(definition: Definition, source: Source, value: str) -> Predicate:
    """Codes whose display or text starts with the value, as a string parameter would (R4 search.html#token)."""
    prefix = string.search_prefix(f"{definition.code}:text", value)
    return TokenPrefix(source.p + VARIANT_TEXT, DISPLAY, prefix)


def _typed(definition: Definition, source: Source, value: str) -> Predicate:
    """Identifiers of the type `system|code` with the value; what has the same hash has another value."""
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) != 3 or not all(parts):
        raise unusable(f"{definition.code}:of-type", value, "an identifier of a type: write system|code|value")
    of_type = NumberIn(source.p + VARIANT_OF_TYPE, (_of_type(*parts),))
    return And((of_type, TextIn(source.p, (cut(parts[2]),))))


def _with_parameters(p: int, mime_type: str) -> Predicate:
    return any_of([NumberIn(p, (token_hash("", mime_type),)), TokenPrefix(p, "", f"{mime_type};")])


def _concepts(definition: Definition, modifier: str, values: tuple[str, ...], matching: Matching) -> Predicate:
    """Codes of value sets, or above or below a code: search/knowledge.py has looked them up."""
    found = [one for value in values for one in matching.knowledge.tokens[modifier, value]]
    return any_of([TokenIn(source.p, tuple(dict.fromkeys(found))) for source in definition.sources])


def parse(parameter_code: str, value: str) -> tuple[str | None, str]:
    """(system, code): system is None when not given and "" for `|code`; code is "" for `system|`."""
    parts = split(value, "|")
    if len(parts) > 2 or not any(parts):
        raise unusable(parameter_code, value, "a token: write code, system|code, |code or system|")
    if len(parts) == 1:
        return None, unescape(value)
    return unescape(parts[0]), unescape(parts[1])


def _coded_predicates(definition: Definition, p: int, parsed: list[tuple[str | None, str]]) -> list[Predicate]:
    hashes: list[int] = []
    codes: list[str] = []
    parts: list[Predicate] = []
    for system, code in parsed:
        if not code:
            parts.append(TokenSystem(p, system or ""))
        elif system and not definition.element_types <= _BOOLEAN_TYPES:
            hashes.append(token_hash(system, code))
        elif definition.bindings is not None:
            if definition.element_types <= _BOOLEAN_TYPES and code not in ("true", "false"):
                raise unusable(definition.code, code, "true or false")
            hashes += [token_hash(implied_systems(binding).get(code, ""), code) for binding in definition.bindings]
        elif system is None:
            codes.append(code)
        else:
            hashes.append(token_hash("", code))
    if hashes:
        parts.append(NumberIn(p, tuple(hashes)))
    if codes:
        parts.append(TokenCode(p, tuple(codes)))
    return parts


def _text_predicates(definition: Definition, source: Source, parsed: list[tuple[str | None, str]]) -> list[Predicate]:
    types = definition.element_types
    by_system: dict[int | None, list[str]] = {}
    systems: list[int] = []
    for system, code in parsed:
        if "ContactPoint" in types and system is not None and not types & {"Identifier", "Coding", "CodeableConcept"}:
            raise InvalidSearch(
                f"The search parameter '{definition.code}' takes a value without '|' (R4 search.html#token)."
            )
        if not code:
            systems.append(symbol(system or ""))
            continue
        texts = _forms(code, types)
        w = symbol(source.only) if source.only else None if system is None else symbol(system)
        by_system.setdefault(w, []).extend(texts)
    parts: list[Predicate] = [TextIn(source.p, tuple(dict.fromkeys(texts)), w) for w, texts in by_system.items()]
    if systems:
        parts.append(NumberIn(source.p, tuple(systems)))
    return parts


def _forms(code: str, types: frozenset[str]) -> list[str]:
    """`code` as it stands in the text rows of these element types."""
    forms = []
    if types & {"Identifier", "id", "uri"}:
        forms.append(cut(code))
    if "ContactPoint" in types:
        forms.append(cut(normal_contact(code)))
    if "string" in types:
        forms.append(cut(code.casefold()))
    return forms
