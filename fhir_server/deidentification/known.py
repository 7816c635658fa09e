"""Codes, canonicals and names that somebody has published, and which therefore are about nobody."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any

from fhir_server import spec
from fhir_server.deidentification.allow_list import AllowList
from fhir_server.deidentification.check_digits import is_concept_id, is_loinc
from fhir_server.model import ucum

CONTENT = ("CodeSystem", "Questionnaire", "PlanDefinition", "ActivityDefinition", "Measure", "Library")
"""Types of the resources that are asked."""
_LONG_NUMBER = re.compile(r"\d{4}", re.ASCII)
"""No unit has one; a person's number does."""
_ANNOTATION = re.compile(r"\{[^{}]*\}")
_CHECKS = {"http://snomed.info/sct": is_concept_id, "http://loinc.org": is_loinc}
Json = dict[str, Any]


@dataclass(slots=True)
class Content:
    """What the definitions that the server stores make known."""

    canonicals: set[str] = field(default_factory=set)
    """url, and url|version."""
    names: set[str] = field(default_factory=set)
    """linkIds of Questionnaires, ids of a PlanDefinition's actions."""
    codes: dict[str, set[str]] = field(default_factory=dict)
    """By code system."""

    def add(self, resource: Json) -> None:
        """A resource of one of the types CONTENT."""
        url = str(resource.get("url", ""))
        if resource["resourceType"] == "CodeSystem":
            self.codes.setdefault(url, set()).update(_nested(resource, "concept", "code"))
            return
        self.canonicals |= {url, f"{url}|{resource.get('version', '')}"}
        self.names |= _nested(resource, "item", "linkId") | _nested(resource, "action", "id")


def _nested(resource: Json, key: str, name: str) -> set[str]:
    found, stack = set(), [resource]
    while stack:
        for child in stack.pop().get(key, ()):
            stack.append(child)
            if name in child:
                found.add(str(child[name]))
    return found


class Known:
    """Asks content, R4 and the forms that the allow-list gives for large code systems."""

    def __init__(self, content: Content, allowed: AllowList) -> None:
        self.canonicals = frozenset(content.canonicals)
        self.names = frozenset(content.names)
        self._codes = content.codes
        self._annotations = frozenset(allowed.annotations)
        self._forms = {system: re.compile(form, re.ASCII) for system, form in allowed.systems.items()}
        self.is_code: Callable[[str, str], bool] = lru_cache(maxsize=1 << 16)(self._is_code)
        self.is_unit: Callable[[str], bool] = lru_cache(maxsize=1 << 12)(self._is_unit)

    @cached_property
    def _published(self) -> dict[str, frozenset[str] | None]:
        return spec.published().code_system

    def _is_code(self, system: str, code: str) -> bool:
        if (form := self._forms.get(system)) is not None:
            return form.fullmatch(code) is not None and (system not in _CHECKS or _CHECKS[system](code))
        if code in self._codes.get(system, ()):
            return True
        return code in (self._published.get(system) or ())

    def _is_unit(self, code: str) -> bool:
        if _LONG_NUMBER.search(code) or not self._annotations.issuperset(_ANNOTATION.findall(code)):
            return False
        return ucum.canonical(Decimal(1), code) is not None
