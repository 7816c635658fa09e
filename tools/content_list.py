"""Write docs/content-list.md: the conformance and terminology resources that ship, from the files themselves.

    python -m tools.content_list

Forms, pathways, operations and the answer systems of the instruments have pages of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "content-list.md"

Json = dict[str, Any]
HEAD = """# What ships

Written by `python -m tools.content_list` from `profiles/` and `terminology/`; a test compares. How it is stored and
checked: [content.md](content.md).
"""


def page(root: Path = ROOT) -> str:
    """The text of the page."""
    paths = sorted([*root.glob("profiles/*.json"), *root.glob("terminology/*.json")])
    resources = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    systems = {_name(one) for one in _kind(resources, "CodeSystem")}
    sections = (
        ("Profiles", [one for one in resources if _is_structure(one) and one["type"] != "Extension"]),
        ("Extensions", [one for one in resources if _is_structure(one) and one["type"] == "Extension"]),
        ("Search parameters", _kind(resources, "SearchParameter")),
        ("Code systems", [one for one in _kind(resources, "CodeSystem") if not one["url"].endswith("-answer")]),
        ("Value sets", [one for one in _kind(resources, "ValueSet") if _name(one) not in systems]),
        ("Concept maps", _kind(resources, "ConceptMap")),
    )
    return HEAD + "".join("\n".join(_section(title, found)) for title, found in sections)


def _kind(resources: list[Json], kind: str) -> list[Json]:
    return [one for one in resources if one["resourceType"] == kind]


def _name(resource: Json) -> str:
    return str(resource["url"].rsplit("/", 1)[1])


def _is_structure(resource: Json) -> bool:
    return bool(resource["resourceType"] == "StructureDefinition")


def _section(title: str, resources: list[Json]) -> Iterator[str]:
    yield f"\n## {title}\n"
    if title == "Code systems":
        yield "Each has a value set of the same name, of all its codes.\n"
    yield "| name | of | what for |"
    yield "|---|---|---|"
    for one in resources:
        yield f"| `{_name(one)}` | {_subject(one)} | {one['description']} |"
    yield ""


def _subject(resource: Json) -> str:
    """What the resource is about: the type of a profile, the places of an extension, how many codes."""
    match resource["resourceType"]:
        case "StructureDefinition" if resource["type"] == "Extension":
            return ", ".join(context["expression"] for context in resource["context"])
        case "StructureDefinition":
            return str(resource["type"])
        case "SearchParameter":
            return f"{', '.join(resource['base'])}, {resource['type']}"
        case "CodeSystem":
            return f"{resource['count']} codes"
        case "ValueSet":
            return ", ".join(include["system"].rsplit("/", 1)[1] for include in resource["compose"]["include"])
        case _:
            return f"{sum(len(group['element']) for group in resource['group'])} codes"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
