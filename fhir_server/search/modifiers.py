"""Which modifiers a search parameter takes (R4 search.html#modifiers)."""

from __future__ import annotations

from fhir_server.search.definitions import Definition
from fhir_server.search.hierarchy import PARENTS

OF_ID = ("missing", "not")
OF_LAST_UPDATED = ("missing",)
"""Those of the parameters that every resource has a value for."""
IS = "is"
ENDS_WITH = "ends-with"
"""What `_filter` asks of strings by eq and ew: no modifiers of a parameter."""


def modifiers(definition: Definition) -> tuple[str, ...]:
    """Those that work, without their colon; for a reference `[type]` stands for the name of a resource type."""
    match definition.search_type:
        case "composite":
            return ()
        case "string":
            return ("missing", "exact", "contains")
        case "uri":
            return ("missing", "above", "below")
        case "reference":
            by_url = ("below",) if "canonical" in definition.element_types else ()
            literal = ("[type]", "identifier") if "Reference" in definition.element_types else ()
            within = ("above", "below") if is_in_hierarchy(definition) else ()
            return ("missing", *literal, *by_url, *within)
        case "token" if is_mime_type(definition):
            return ("missing", "not", "below")
        case "token":
            coded = ("text", "in", "not-in", "above", "below") if definition.element_types & _CODES else ()
            identified = ("text", "of-type") if "Identifier" in definition.element_types else ()
            return ("missing", "not", *dict.fromkeys((*coded, *identified)))
    return ("missing",)


_CODES = frozenset(("CodeableConcept", "Coding", "code"))


def is_in_hierarchy(definition: Definition) -> bool:
    """References to resources that have parts of their own type (R4 search.html#recursive)."""
    targets = {source.only for source in definition.sources if source.only} or set(definition.targets)
    return definition.element_types == {"Reference"} and bool(targets & PARENTS.keys())


def is_mime_type(definition: Definition) -> bool:
    """Below a MIME type are those with parameters, whatever a code system may say (R4 search.html#mimetype)."""
    return definition.bindings == ("http://hl7.org/fhir/ValueSet/mimetypes",)
