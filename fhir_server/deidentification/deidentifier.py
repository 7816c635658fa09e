"""De-identifies resources by the allow-list: each type is compiled once into functions that build what is kept anew.

Nothing of a resource is in what is returned unless a rule put it there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fhir_server import spec
from fhir_server.deidentification.allow_list import allow_list
from fhir_server.deidentification.extensions import Extensions
from fhir_server.deidentification.known import Known
from fhir_server.deidentification.pseudonyms import Pseudonyms
from fhir_server.deidentification.values import (
    MASKED,
    OLDEST,
    Json,
    Rule,
    absence,
    coding,
    moment,
    month,
    one_of,
    quantity,
    same,
    year_before,
)
from fhir_server.model.json import decode, encode
from fhir_server.validation.structure import Field, Group, shape

PSEUDED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "PSEUDED"}
"""The security label that every resource gets (R4 security-labels.html)."""
_MASKED_REASON = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "masked"}]}
_TELL_ABSENCE = ("Observation", "Observation.component")
"""Where a value that is dropped is told of by `dataAbsentReason`."""
_NUMBERS = ("boolean", "integer", "decimal", "positiveInt", "unsignedInt")
_MOMENTS = ("date", "dateTime", "instant", "time")
_QUANTITIES = ("Quantity", "Age", "Count", "Distance", "Duration")
_OF_RESOURCES = ("id", "meta", "contained")
"""What `resource` sees to itself."""


@dataclass(slots=True)
class _Contained:
    """The resource at hand: what its references to contained resources became, and which of these are still to do."""

    name: str = ""
    """Type/id of the container."""
    types: dict[str, str] = field(default_factory=dict)
    """Id -> type of those that are kept when something refers to them."""
    wanted: list[str] = field(default_factory=list)


class Deidentifier:
    """Of one export; `year` is that of its moment."""

    def __init__(self, pseudonyms: Pseudonyms, known: Known, year: int, canonical_base: str) -> None:
        allowed = allow_list(canonical_base)
        self.pseudonyms = pseudonyms
        self._known = known
        self._types = allowed.types
        self._objects: dict[str, Rule] = {}
        self._contained = _Contained()
        self._withheld = {
            "url": f"{canonical_base}/StructureDefinition/msk-withheld-modifier",
            "valueBoolean": True,
        }
        self._rules: dict[str, Rule] = {
            **dict.fromkeys(_NUMBERS, same),
            **dict.fromkeys(_MOMENTS, moment),
            **dict.fromkeys(_QUANTITIES, quantity(known)),
            "Coding": coding(known),
            "Reference": self._reference,
            "canonical": one_of(known.canonicals),
        }
        self._named: dict[str, Rule] = {"year": year_before(year - OLDEST), "month": month, "name": self._name}
        self._extensions = Extensions(allowed.extensions, known, self._of_type)

    def of(self, body: bytes) -> bytes:
        """A stored resource of one of the allowed types, de-identified."""
        return encode(self.resource(decode(body)))

    def resource(self, resource: Json) -> Json:
        name = f"{resource['resourceType']}/{resource['id']}"
        inner = {str(one.get("id")): one for one in resource.get("contained", ())}
        types = {key: one["resourceType"] for key, one in inner.items() if one["resourceType"] in self._types}
        self._contained = _Contained(name, types)
        logical_id = self.pseudonyms.of(resource["resourceType"], resource["id"])
        kept = self._root(resource, logical_id)
        contained: dict[str, Json] = {}
        while self._contained.wanted:
            one = self._contained.wanted.pop()
            if one not in contained:
                contained[one] = self._root(inner[one], self._inner_id(one), contained=True)
        if contained:
            kept["contained"] = list(contained.values())
        return kept

    def _root(self, resource: Json, logical_id: str, *, contained: bool = False) -> Json:
        resource_type = resource["resourceType"]
        kept: Json = {"resourceType": resource_type, "id": logical_id}
        meta = self._object("Meta")(resource.get("meta") or {}) or {}
        if not contained:
            meta["security"] = [*(one for one in meta.get("security", ()) if one != PSEUDED), PSEUDED]
        if meta:
            kept["meta"] = meta
        kept.update(self._object(resource_type)(resource))
        return kept

    # References

    def _reference(self, value: Json) -> Json | None:
        """To the pseudonym; what is named by an identifier alone gets one too."""
        text, identifier = value.get("reference"), value.get("identifier")
        if isinstance(text, str) and text.startswith("#"):
            target = self._inner(text[1:])
        elif isinstance(text, str):
            target = self.pseudonyms.reference(text)
        elif isinstance(identifier, dict) and "value" in identifier:
            target = self.pseudonyms.elsewhere(f"{identifier.get('system', '')}|{identifier['value']}")
        else:
            target = None
        if target is None:
            return absence(value)
        kept: Json = {"reference": target}
        if value.get("type") in spec.RESOURCE_TYPES:
            kept["type"] = value["type"]
        return kept

    def _inner(self, fragment: str) -> str | None:
        """Of a contained resource; an empty fragment is the container (R4 references.html#contained)."""
        if not fragment:
            return "#"
        if fragment not in self._contained.types:
            return None
        self._contained.wanted.append(fragment)
        return f"#{self._inner_id(fragment)}"

    def _inner_id(self, fragment: str) -> str:
        return self.pseudonyms.of(self._contained.types[fragment], f"{self._contained.name}#{fragment}")

    def _name(self, value: Any) -> str | None:
        """A name that content gives, else one that stands for it: answers to one question stay together."""
        if not isinstance(value, str):
            return None
        return value if value in self._known.names else self.pseudonyms.of("name", value)

    # Objects

    def _object(self, path: str) -> Rule:
        if path not in self._objects:

            def later(value: Any) -> Any:
                return self._objects[path](value)

            # Elements may hold their own kind: what refers to it before it is made asks later.
            self._objects[path] = later
            self._objects[path] = self._compile(path)
        return self._objects[path]

    def _compile(self, path: str) -> Rule:
        whole = shape(path)
        rules: dict[str, Rule] = {"extension": self._extensions, "modifierExtension": lambda _: [self._withheld]}
        for one in whole.fields.values():
            if one.type_name == "Extension" or (whole.resource and one.key in _OF_RESOURCES):
                continue
            if (rule := self._rule(path, one)) is not None:
                rules[one.key] = _each(rule) if one.many else rule
                if one.primitive and not one.many:
                    rules[f"_{one.key}"] = absence
        required = [
            (frozenset(key for name in group.keys for key in (name, f"_{name}")), self._mask(path, group))
            for group in whole.groups
            if group.required
        ]
        tells = path in _TELL_ABSENCE

        def keep(value: Json) -> Json | None:
            kept: Json = {}
            for key, content in value.items():
                if (rule := rules.get(key)) is not None and (found := rule(content)) is not None:
                    kept[key] = found
            if tells and "dataAbsentReason" not in kept and _has_value(value) and not _has_value(kept):
                kept["dataAbsentReason"] = _MASKED_REASON
            if not kept and not whole.resource:
                return None
            for keys, (key, mask) in required:
                if keys.isdisjoint(kept):
                    kept[key] = mask
            return kept

        return keep

    def _rule(self, path: str, one: Field) -> Rule | None:
        """None: the element is dropped."""
        type_name, _, below = path.partition(".")
        wanted = self._types[type_name].rules.get(f"{below}.{one.name}" if below else one.name)
        if wanted is None:
            return None
        if wanted in self._named and one.type_name in ("date", "dateTime", "string"):
            return self._named[wanted]
        return self._of_type(one.type_name, one.codes)

    def _of_type(self, type_name: str, codes: frozenset[str] | None = None) -> Rule | None:
        if type_name == "code":
            return one_of(codes) if codes else None
        if type_name in self._rules:
            return self._rules[type_name]
        if type_name.partition(".")[0] not in self._types:
            return None
        return self._object(type_name)

    # What is required and not there

    def _mask(self, path: str, group: Group) -> tuple[str, Any]:
        """The key and content that tell of a required element that it is masked."""
        fields = [shape(path).fields[key] for key in group.keys]
        one = next((one for one in fields if one.type_name == "CodeableConcept"), fields[0])
        if one.primitive:
            return f"_{one.key}", {"extension": [MASKED]}
        mask: Json = {"extension": [MASKED]}
        if "." in one.type_name:
            inner = shape(one.type_name)
            mask = dict(self._mask(one.type_name, below) for below in inner.groups if below.required) or mask
        return one.key, [mask] if one.many else mask


def _each(rule: Rule) -> Callable[[Any], Any]:
    def keep(values: Any) -> Any:
        return [kept for one in values if one is not None and (kept := rule(one)) is not None] or None

    return keep


def _has_value(value: Json) -> bool:
    return any(key.startswith("value") for key in value)
