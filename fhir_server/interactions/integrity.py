"""References to what is not here: accepted, unless settings.enforce_references (R4 references.html#2.3.0.1)."""

from __future__ import annotations

from typing import Any

from fhir_server.errors import FhirError
from fhir_server.interactions.exchange import Server
from fhir_server.model.reference import CONDITIONAL, parse_reference, place_of, references
from fhir_server.storage.base import Transaction


async def check_references(
    server: Server, transaction: Transaction, resource: dict[str, Any], written: frozenset[str] = frozenset()
) -> None:
    """Refuse (422) local references whose target is neither stored nor in `written` (`Type/id`).

    Also those that only a transaction can resolve: to an entry of a Bundle, and conditional ones.
    """
    if not server.settings.enforce_references:
        return
    wanted = {}
    for holder, key in references(resource):
        if holder[key].startswith(("urn:uuid:", "urn:oid:")) or CONDITIONAL.match(holder[key]):
            raise FhirError(
                f"This server enforces references, and {holder[key][:100]} can be resolved in a transaction only.",
                status=422,
                code="not-supported",
                expression=place_of(resource, holder[key]),
            )
        parts = parse_reference(holder[key])
        if parts.is_local and f"{parts.resource_type}/{parts.logical_id}" not in written:
            wanted[(parts.resource_type, parts.logical_id)] = holder[key]
    there = await transaction.versions(list(wanted))
    missing = [text for key, text in wanted.items() if key not in there or there[key].method == "delete"]
    if missing:
        raise FhirError(
            f"This server enforces references, and {', '.join(sorted(missing)[:5])} does not exist here:"
            " send it first, or in the same transaction.",
            status=422,
            code="not-found",
            expression=place_of(resource, min(missing)),
        )
