"""Every canonical resolves, and every extension is defined (R4 references.html#canonical, extensibility.html)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fhir_server.content_check.catalogue import Catalogue
from fhir_server.content_check.finding import Fault
from fhir_server.content_check.walk import Node

_SYSTEMS = (("ValueSet.compose.include", "system"), ("ConceptMap.group", "source"), ("ConceptMap.group", "target"))
"""Elements of type uri that name a code system."""


def canonical_faults(elements: Sequence[Node], catalogue: Catalogue) -> Iterator[Fault]:
    """Of the elements of one artefact."""
    for node in elements:
        if node.type_name == "canonical" and not str(node.value).startswith("#"):
            fault = catalogue.fault_of(str(node.value))
            if fault:
                yield Fault(node.path, fault)
        elif node.type_name == "Extension" and "/" in str(node.value.get("url", "")):
            url = str(node.value["url"])
            if not catalogue.is_extension(url):
                yield Fault((*node.path, "url"), f"No extension {url} is defined.")
        elif isinstance(node.value, dict):
            for holder, element in _SYSTEMS:
                system = node.value.get(element)
                if node.type_name == holder and system and not catalogue.knows_system(system.partition("|")[0]):
                    yield Fault((*node.path, element), f"No code system {system} is known.")
