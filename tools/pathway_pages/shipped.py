"""What the page looks up: pathways, activities, resources, forms and the names of codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fhir_server.content_files import SHIPPED_BASE as BASE

Json = dict[str, Any]
_ORDER = f"{BASE}/StructureDefinition/msk-anchor-order"
COLLECT_WITH = "http://hl7.org/fhir/uv/cpg/StructureDefinition/cpg-collectWith"


class Shipped:
    """The shipped files by canonical."""

    def __init__(self, root: Path) -> None:
        patterns = (
            "profiles/pathways/*/*.json",
            "questionnaires/*/questionnaire.json",
            "terminology/CodeSystem-*.json",
        )
        found = [json.loads(path.read_text(encoding="utf-8")) for name in patterns for path in sorted(root.glob(name))]
        self._by_canonical: dict[str, Json] = {f"{one['url']}|{one['version']}": one for one in found}

    def plans(self) -> list[Json]:
        return self.of("PlanDefinition")

    def of(self, kind: str) -> list[Json]:
        """By title."""
        found = [one for one in self._by_canonical.values() if one["resourceType"] == kind]
        return sorted(found, key=lambda one: (one["title"], one["version"]))

    def named(self, canonical: str) -> Json:
        return self._by_canonical[canonical]

    def display(self, system: str, code: str) -> str:
        concepts: list[Json] = self._by_canonical[f"{BASE}/CodeSystem/{system}|1.0.0"]["concept"]
        return next(str(concept["display"]) for concept in concepts if concept["code"] == code)

    def event(self, code: str) -> str:
        """In the middle of a sentence."""
        name = self.display("msk-anchor", code)
        return name[0].lower() + name[1:]

    def events(self, plan: Json) -> list[str]:
        """The events of a pathway, with what each comes after and excludes."""
        said = dict(self._order(plan))
        used = dict.fromkeys(event_of(action) for action in actions(plan))
        return [f"{self.event(code)}{said.get(code, '')}" for code in used if code]

    def _order(self, plan: Json) -> Iterator[tuple[str, str]]:
        for extension in plan.get("extension", ()):
            if extension["url"] != _ORDER:
                continue
            parts = [(part["url"], part["valueCode"]) for part in extension["extension"]]
            after = [self.event(code) for name, code in parts if name == "after"]
            instead = [self.event(code) for name, code in parts if name == "excludes"]
            notes = [*(f"not before {name}" for name in after), *(f"instead of {name}" for name in instead)]
            (event,) = (code for name, code in parts if name == "event")
            yield event, f" ({', '.join(notes)})" if notes else ""


def actions(parent: Json) -> Iterator[Json]:
    """All of a pathway, groups before what stands in them."""
    for action in parent.get("action", ()):
        yield action
        yield from actions(action)


def extension(element: Json, name: str) -> Json | None:
    """One of ours."""
    url = f"{BASE}/StructureDefinition/{name}"
    return next((one for one in element.get("extension", ()) if one["url"] == url), None)


def part(holder: Json | None, name: str) -> Json:
    """A part of an extension; empty when there is none."""
    return next((one for one in (holder or {}).get("extension", ()) if one["url"] == name), {})


def event_of(action: Json) -> str | None:
    return part(extension(action, "msk-step-anchor"), "event").get("valueCode")


def days_of(holder: Json | None, name: str) -> int:
    return int(part(holder, name).get("valueDuration", {}).get("value", 0))
