"""Resources with every element of R4 in them, and a text of its own in each place where a text can be.

Made from R4's structure alone: what is under test has no say in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from fhir_server.model.json import encode
from fhir_server.validation.structure import Field, Group, shape

Json = dict[str, Any]
MARK = "CNRY"
"""In every planted text, also where it is written in base64: it reads as that as well."""
_DEEPEST = 3
_FIXED: dict[str, Any] = {
    "boolean": True,
    "integer": 7,
    "positiveInt": 7,
    "unsignedInt": 7,
    "decimal": 7,
    "date": "2026-03-01",
    "dateTime": "2026-03-01T09:30:00Z",
    "instant": "2026-03-01T09:30:00Z",
    "time": "09:30:00",
}
_KNOWN_SYSTEMS = ("http://snomed.info/sct", "http://loinc.org", "https://fhir.example.org/msk/CodeSystem/msk-score")
_KNOWN_EXTENSIONS = (
    "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
    "https://fhir.example.org/msk/StructureDefinition/msk-imd",
    "https://fhir.example.org/msk/StructureDefinition/msk-step-action",
    "https://fhir.example.org/msk/StructureDefinition/msk-entry-mode",
    "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-EthnicCategory",
)


class Planter:
    """Each choice takes its next alternative with each resource made of the type."""

    def __init__(self) -> None:
        self._number = count(1)
        self._turn = 0

    def resources(self, resource_type: str) -> Iterator[Json]:
        """As many as the choice with most alternatives has, within what a resource holds itself."""
        paths = [resource_type, *(one for one in _backbones(resource_type))]
        turns = max(len(group.keys) for path in paths for group in (*shape(path).groups, Group("", ("",), False)))
        for self._turn in range(turns):
            yield self.resource(resource_type)

    def resource(self, resource_type: str, *, contained: bool = False) -> Json:
        made = self._object(resource_type, 0)
        inner = [] if contained else [self.resource("Patient", contained=True), self.resource("Binary", contained=True)]
        made |= {"resourceType": resource_type, "id": self.text()}
        if "text" in made:
            made["text"] = {
                "id": self.text(),
                "status": "generated",
                "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p title="{self.text()}">{self.text()}</p></div>',
            }
        if contained:
            made.pop("meta", None)  # R4 domainresource.html#invs, dom-4 and dom-5
        elif resource_type != "Binary":
            made["contained"] = inner
            for key in ("subject", "patient", "for", "actor"):
                if isinstance(made.get(key), dict):
                    made[key]["reference"] = f"#{inner[0]['id']}"
        return made

    def text(self) -> str:
        return f"{MARK}{next(self._number):08d}"

    def _object(self, path: str, depth: int) -> Json:
        whole, made = shape(path), {}
        left_out = {key for group in whole.groups for key in group.keys}
        for group in whole.groups:
            left_out.discard(group.keys[self._turn % len(group.keys)])
        for one in whole.fields.values():
            if one.key in left_out or (depth >= _DEEPEST and not self._is_required(path, one)):
                continue
            self._plant(made, one, depth)
        return made or {"extension": self._extensions()}

    @staticmethod
    def _is_required(path: str, one: Field) -> bool:
        return any(group.required and one.key in group.keys for group in shape(path).groups)

    def _plant(self, made: Json, one: Field, depth: int) -> None:
        if one.key in ("id", "resourceType", "contained"):
            if one.key == "id":
                made["id"] = self.text()
            return
        if one.type_name == "Extension":
            made[one.key] = self._extensions(known=depth == 0 and one.key == "extension")
            return
        value = self._primitive(one) if one.primitive else self._complex(one, depth)
        made[one.key] = [value] if one.many else value
        if one.primitive and one.type_name not in ("id", "xhtml"):
            beside = {"id": self.text(), "extension": self._extensions()}
            made[f"_{one.key}"] = [beside] if one.many else beside

    def _primitive(self, one: Field) -> Any:
        if one.type_name == "code":
            return sorted(one.codes)[0] if one.codes else self.text()
        if one.type_name in _FIXED:
            return _FIXED[one.type_name]
        text = self.text()
        match one.type_name:
            case "uri" | "url" | "canonical":
                return f"http://{text}.example/{text}"
            case "oid":
                return "urn:oid:1.2.3"
            case "uuid":
                return "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
        return text

    def _complex(self, one: Field, depth: int) -> Json:
        if one.type_name == "Reference":
            target = sorted(one.targets)[0] if one.targets else "Patient"
            forms = (
                f"{target}/{self.text()}",
                f"{target}/{self.text()}/_history/{self.text()}",
                f"http://{self.text()}.example/{target}/{self.text()}",
            )
            return {
                "id": self.text(),
                "reference": forms[(depth + self._turn) % len(forms)],
                "type": self.text(),
                "display": self.text(),
                "identifier": {"system": f"http://{self.text()}.example", "value": self.text()},
                "extension": self._extensions(),
            }
        made = self._object(one.type_name, depth + 1)
        if one.type_name == "Coding" and self._turn % 2:
            made["system"] = _KNOWN_SYSTEMS[(depth + self._turn) % len(_KNOWN_SYSTEMS)]
        if one.type_name == "Quantity" and self._turn % 2:
            made["system"] = "http://unitsofmeasure.org"
        return made

    def _extensions(self, *, known: bool = False) -> list[Json]:
        """Of nobody's; and those that are known, with values that are not."""
        own = f"http://{self.text()}.example"
        nested: list[Json] = [{"url": self.text(), "valueIdentifier": {"value": self.text()}}]
        found: list[Json] = [
            {"url": own, "id": self.text(), "valueString": self.text()} if known else {"url": own, "extension": nested}
        ]
        if known:
            found.append({"url": own, "extension": nested})
            for url in _KNOWN_EXTENSIONS:
                found.append({"url": url, "valueCode": self.text()})
                found.append({"url": url, "valueCodeableConcept": {"text": self.text()}})
                parts = [{"url": part, "valueString": self.text()} for part in ("index", "version", "quintile")]
                found.append({"url": url, "extension": parts})
        return found


def _backbones(resource_type: str) -> Iterator[str]:
    stack = [resource_type]
    while stack:
        path = stack.pop()
        for one in shape(path).fields.values():
            if one.type_name.startswith(f"{path}."):
                yield one.type_name
                stack.append(one.type_name)


def planted(resource: Json) -> int:
    """How many texts were planted."""
    return encode(resource).count(MARK.encode())
