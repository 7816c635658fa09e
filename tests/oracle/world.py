"""The oracle: which resources a search finds, by looking at every one of them.

Written from R4 search.html, with the readings of docs/spec-clarifications/search.md, apart from fhir_server/search:
what the two agree on is unlikely to be wrong in both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.oracle import matching
from tests.oracle.expressions import DEFINITIONS, Json, Value, definition, target_types, values
from tests.oracle.implied import BOOLEAN_PARAMETERS, CONTACT_PARAMETERS, IMPLIED_SYSTEMS
from tests.oracle.matching import Context, Test, split, unescape
from tests.oracle.ranges import Refused
from tests.oracle.terminology import Terminology

COMPARTMENTS: dict[str, dict[str, list[str]]] = json.loads(
    (Path(__file__).parents[2] / "fhir_server" / "spec" / "compartments.json").read_text()
)
HIERARCHIES = ("CarePlan", "Encounter", "Location", "Organization", "ResearchStudy", "Task")
"""search-17: types that are part of their own type only."""
SEARCHED = {
    "token": {"Coding", "CodeableConcept", "Identifier", "ContactPoint", "code", "boolean", "System.Boolean", "string"}
    | {"id", "uri"},
    "reference": {"Reference", "canonical", "uri"},
    "date": {"date", "dateTime", "instant", "Period", "Timing"},
    "string": {"string", "markdown", "HumanName", "Address", "family"},
    "uri": {"uri", "url", "canonical", "oid", "uuid"},
    "number": {"integer", "positiveInt", "unsignedInt", "decimal", "Range"},
    "quantity": {"Quantity", "SimpleQuantity", "Age", "Count", "Distance", "Duration", "Money", "Range"},
}
"""search-31: the data types that each type of parameter searches (R4 search.html#number and on)."""
NEGATIONS = frozenset(("not", "not-in"))
_CONTROLS = frozenset(("_sort", "_count", "_total", "_summary", "_elements", "_include", "_revinclude"))
Holds = Callable[[Json], bool]


@dataclass(eq=False)
class World:
    """The current resources of a server, as it returned them."""

    resources: Iterable[Json]
    base_url: str
    time_zone: str
    _values: dict[tuple[int, str], list[Value]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.by_type: dict[str, dict[str, Json]] = {}
        for resource in self.resources:
            self.by_type.setdefault(resource["resourceType"], {})[resource["id"]] = resource
            for one in resource.get("contained", []):
                # A contained resource changes with its container (search-7).
                one["meta"] = {**one.get("meta", {}), "lastUpdated": resource["meta"]["lastUpdated"]}

    def search(self, resource_type: str, pairs: Iterable[tuple[str, str]], compartment: str = "") -> set[str]:
        """The ids that match `pairs`, of those in `compartment` (`Patient/1`) if it is named. Raises Refused."""
        tests = [
            self._criterion(resource_type, name, value)
            for name, value in pairs
            if name.partition(":")[0] not in _CONTROLS and value.strip(",")
        ]
        if compartment:
            tests.append(self._in_compartment(resource_type, compartment))
        found = self.by_type.get(resource_type, {})
        return {key for key, resource in found.items() if all(test(resource) for test in tests)}

    # --- criteria ------------------------------------------------------------------------------------------------

    def _criterion(self, resource_type: str, name: str, value: str) -> Holds:
        """The condition of one name=value pair, whose name may be a chain or a `_has`."""
        if name.startswith("_has:"):
            return self._has(resource_type, name, value)
        head, dot, rest = name.partition(".")
        code, colon, modifier = head.partition(":")
        if dot:
            return self._chain(resource_type, code, modifier, rest, value)
        alternatives = [part for part in split(value, ",") if part]
        if code == "_list":
            return self._list(resource_type, alternatives)
        return self._simple(resource_type, code, modifier if colon else None, alternatives)

    def _simple(self, resource_type: str, code: str, modifier: str | None, alternatives: list[str]) -> Holds:
        known = definition(resource_type, code)
        if known is None:
            raise Refused(f"{resource_type} has no parameter {code}")
        if modifier == "missing":
            return self._missing(known, code, alternatives)
        if known["type"] == "composite":
            if modifier is not None:
                raise Refused("R4 search.html#composite: modifiers are not used on composite parameters")
            parts = [self._composite(resource_type, known, value) for value in alternatives]
            return lambda resource: any(part(resource) for part in parts)
        if code == "url" and modifier is None:
            urls = [self._url_and_version(value) for value in alternatives]
            return lambda resource: any(url(resource) for url in urls)
        tests = [self._test(resource_type, code, modifier, value) for value in alternatives]
        if modifier in NEGATIONS:
            # The negation applies to the set (R4 search.html#token: Composition?section:not).
            return lambda resource: not any(test(v) for v in self.values(resource, code) for test in tests)
        return lambda resource: any(test(v) for v in self.values(resource, code) for test in tests)

    def _test(self, resource_type: str, code: str, modifier: str | None, value: str) -> Test:
        """The test of one value of a parameter that is not composite."""
        known = DEFINITIONS[resource_type][code]
        context = self._context(resource_type, code)
        match known["type"], modifier:
            case "token", None | "not":
                return matching.token(value, context, _types(code))
            case "token", "text":
                return matching.token_text(value)
            case "token", "of-type":
                return matching.of_type(value)
            case "token", "in" | "not-in":
                return self.terminology.member(unescape(value), context)
            case "token", "below":
                return self.terminology.subsumed(value, context)
            case "token", "above":
                return self.terminology.subsumes(value, context)
            case "string", None:
                return matching.string(value)
            case "string", "contains":
                return matching.string_contains(value)
            case "string", "exact":
                return matching.string_exact(value)
            case "date", None:
                return matching.date(value, context)
            case "number", None:
                return matching.number(value)
            case "quantity", None:
                return matching.quantity(value)
            case "uri", None:
                return matching.uri(value)
            case "uri", "below":
                return matching.uri_below(value)
            case "uri", "above":
                return matching.uri_above(value)
            case "reference", None:
                return matching.reference(value, context)
            case "reference", "identifier":
                return matching.reference_identifier(value, context)
            case "reference", "below" if known.get("targets") and _is_canonical(resource_type, code):
                return matching.canonical_below(value)
            case "reference", "below" | "above":
                return self._in_hierarchy(value, context, above=modifier == "above")
            case "reference", only if only in DEFINITIONS:
                return matching.reference(value, context, only)
        raise Refused(f"{code} of type {known['type']} has no modifier :{modifier}")

    def _in_hierarchy(self, value: str, context: Context, *, above: bool) -> Test:
        """References to a resource, or to what it is part of or what is part of it (search.html#recursive)."""
        wanted = unescape(value)
        here = matching.literal(wanted, self.base_url)
        if here is None and not re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", wanted):
            raise Refused(f"no resource of this server: {value!r}")
        meant = {here} if here else {(target, wanted) for target in context.targets}
        edges = [
            ((kind, key), whole) if above else (whole, (kind, key))
            for kind in HIERARCHIES
            for key, one in self.by_type.get(kind, {}).items()
            for part_of in (one["partOf"] if isinstance(one.get("partOf"), list) else [one.get("partOf", {})])
            if (whole := matching.literal(part_of.get("reference", ""), self.base_url)) and whole[0] == kind
        ]
        while further := {end for start, end in edges if start in meant} - meant:
            meant |= further
        return lambda found: matching.literal_of(found, context) in meant

    def _url_and_version(self, value: str) -> Holds:
        """`url|version` of a conformance resource asks for its `version` too (R4 search.html#uri)."""
        url, *version = split(value, "|")
        wanted = unescape(url)
        return lambda resource: (
            resource.get("url") == wanted
            and (not version or resource.get("version", "") == unescape("|".join(version)))
        )

    def _missing(self, known: Json, code: str, alternatives: list[str]) -> Holds:
        if known["type"] == "composite" or not set(alternatives) <= {"true", "false"} or len(alternatives) != 1:
            raise Refused(":missing takes true or false, and no composite parameter")
        wanted = SEARCHED[known["type"]]

        def is_missing(resource: Json) -> bool:
            return not any(v.type in wanted and says_something(v.data) for v in self.values(resource, code))

        return lambda resource: is_missing(resource) == (alternatives[0] == "true")

    def _composite(self, resource_type: str, known: Json, value: str) -> Holds:
        """Both components within one instance of the element (R4 search.html#composite)."""
        components = known["components"]
        parts = split(value, "$")
        if len(parts) != len(components):
            raise Refused(f"{value!r} has not {len(components)} components")
        if any(c["type"] == "token" and part.endswith("|") for c, part in zip(components, parts, strict=True)):
            raise Refused("a token component needs a code (search-9)")
        tests = [
            (component["expression"], self._test(resource_type, component["code"], None, part))
            for component, part in zip(components, parts, strict=True)
        ]

        def holds(resource: Json) -> bool:
            return any(
                all(
                    any(test(component) for component in values(base.data, expression, base.type))
                    for expression, test in tests
                )
                for base in values(resource, known["expression"])
            )

        return holds

    # --- chains --------------------------------------------------------------------------------------------------

    def _chain(self, resource_type: str, code: str, only: str, rest: str, value: str) -> Holds:
        """R4 search.html#chaining: a reference whose target satisfies the rest; untyped, of any type that can."""
        known = definition(resource_type, code)
        if known is None or known["type"] != "reference":
            raise Refused(f"{code} is no reference parameter of {resource_type}")
        inner: dict[str, Holds] = {}
        refusal: Refused | None = None
        may = target_types(resource_type, code)
        if only and only not in may:
            raise Refused(f"{code} of {resource_type} does not refer to {only}")
        for target in [only] if only else may:
            try:
                inner[target] = self._criterion(target, rest, value)
            except Refused as refused:
                refusal = refused
        if not inner:
            raise refusal or Refused(f"{code} has no target")

        def holds(resource: Json) -> bool:
            return any(
                target["resourceType"] in inner and inner[target["resourceType"]](target)
                for reference in self.values(resource, code)
                for target in self.targets(reference, resource)
            )

        return holds

    def targets(self, value: Value, container: Json) -> list[Json]:
        """The resources that a Reference or canonical means: stored here, or contained beside it."""
        if value.type == "Reference":
            text = value.data.get("reference", "")
            if text.startswith("#"):
                return [one for one in container.get("contained", []) if one.get("id") == text[1:]]
            here = matching.literal(text, self.base_url)
            target = here and self.by_type.get(here[0], {}).get(here[1])
            return [target] if target else []
        url, _, version = str(value.data).partition("|")
        return [
            one
            for stored in self.by_type.values()
            for one in stored.values()
            if one.get("url") == url and (not version or one.get("version") == version)
        ]

    def _has(self, resource_type: str, name: str, value: str) -> Holds:
        """R4 search.html#has: `_has:[type]:[reference parameter]:[parameter]`."""
        try:
            _, source, code, rest = name.split(":", 3)
        except ValueError:
            raise Refused(f"{name} has not three parts") from None
        known = definition(source, code) if source in DEFINITIONS else None
        if known is None or known["type"] != "reference":
            raise Refused(f"{code} is no reference parameter of {source}")
        if resource_type not in target_types(source, code):
            raise Refused(f"{code} of {source} does not refer to {resource_type}")
        inner = self._criterion(source, rest, value)
        meant = {
            (target["resourceType"], target["id"])
            for one in self.by_type.get(source, {}).values()
            if inner(one)
            for reference in self.values(one, code)
            if not str(reference.data.get("reference", "") if reference.type == "Reference" else "").startswith("#")
            for target in self.targets(reference, one)
        }
        return lambda resource: (resource_type, resource["id"]) in meant

    def _list(self, resource_type: str, alternatives: list[str]) -> Holds:
        """R4 search.html#list: what the List's entries refer to."""
        meant = {
            here
            for key in map(unescape, alternatives)
            for entry in self.by_type.get("List", {}).get(key, {}).get("entry", [])
            if (here := matching.literal(entry["item"].get("reference", ""), self.base_url))
        }
        return lambda resource: (resource_type, resource["id"]) in meant

    def _in_compartment(self, resource_type: str, compartment: str) -> Holds:
        """R4 compartmentdefinition.html, with the reading search-12 for Patients."""
        owner, _, key = compartment.partition("/")
        codes = list(COMPARTMENTS[owner].get(resource_type, []))
        if owner == "Patient":
            codes += ["subject"] if resource_type == "Task" else []
            if resource_type in ("Group", "Person", "Schedule"):
                codes = []
        own = resource_type == owner

        def holds(resource: Json) -> bool:
            return (own and resource["id"] == key) or any(
                v.type == "Reference" and matching.literal(v.data.get("reference", ""), self.base_url) == (owner, key)
                for code in codes
                if code != "{def}"
                for v in self.values(resource, code)
            )

        return holds

    # --- values --------------------------------------------------------------------------------------------------

    def values(self, resource: Json, code: str) -> list[Value]:
        """What the parameter `code` sees of `resource`; each pair is evaluated once."""
        key = (id(resource), code)
        found = self._values.get(key)
        if found is None:
            known = DEFINITIONS[resource["resourceType"]][code]
            found = [Value("family", v.data) if code == "family" else v for v in values(resource, known["expression"])]
            self._values[key] = found
        return found

    @cached_property
    def terminology(self) -> Terminology:
        return Terminology(self.by_type.get("CodeSystem", {}).values(), self.by_type.get("ValueSet", {}).values())

    def _context(self, resource_type: str, code: str) -> Context:
        known = DEFINITIONS[resource_type][code]
        return Context(
            self.base_url,
            self.time_zone,
            IMPLIED_SYSTEMS.get((resource_type, code), ""),
            tuple(target_types(resource_type, code)) if known["type"] == "reference" else (),
        )


def says_something(data: Any) -> bool:
    """search-31: a value other than of an extension, at whatever depth (JSON keeps a primitive's own behind `_`)."""
    match data:
        case dict():
            keys = {key for key in data if not re.match("_|id$|extension$|modifierExtension$", key)}
            return any(says_something(data[key]) for key in keys)
        case list():
            return any(says_something(one) for one in data)
    return data is not None


def _types(code: str) -> frozenset[str]:
    if code in BOOLEAN_PARAMETERS:
        return frozenset(("boolean",))
    return frozenset(("ContactPoint",)) if code in CONTACT_PARAMETERS else frozenset()


def _is_canonical(resource_type: str, code: str) -> bool:
    return (resource_type, code) in {
        ("QuestionnaireResponse", "questionnaire"),
        ("ServiceRequest", "instantiates-canonical"),
        ("CarePlan", "instantiates-canonical"),
        ("CodeSystem", "supplements"),
    }
