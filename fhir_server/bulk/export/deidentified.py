"""De-identifying an export: by what the content stored here makes known at its moment."""

from __future__ import annotations

from datetime import UTC, datetime

from fhir_server.bulk.export.matches import matches
from fhir_server.deidentification.allow_list import allow_list
from fhir_server.deidentification.deidentifier import Deidentifier
from fhir_server.deidentification.known import CONTENT, Content, Known
from fhir_server.deidentification.pseudonyms import Pseudonyms
from fhir_server.errors import BusinessRule
from fhir_server.interactions.exchange import Server
from fhir_server.model.instant import MICROS
from fhir_server.operations.export_plan import Plan
from fhir_server.operations.stored import content_of


async def deidentifier_of(server: Server, plan: Plan) -> Deidentifier | None:
    """None when the export gives things as they are. Raises BusinessRule when the key has been changed meanwhile."""
    if not plan.project:
        return None
    settings = server.settings
    pseudonyms = Pseudonyms(settings.pseudonym_key, plan.project, plan.base_url)
    if pseudonyms.fingerprint != plan.key_fingerprint:
        raise BusinessRule("The key of the pseudonyms is no longer the one this export began with: ask for a new one.")
    content = Content()
    for resource_type in CONTENT:
        async for version in matches(server, resource_type, [], plan.snapshot):
            content.add(content_of(version))
    year = datetime.fromtimestamp(plan.time / MICROS, tz=UTC).year
    known = Known(content, allow_list(settings.canonical_base))
    return Deidentifier(pseudonyms, known, year, settings.canonical_base)
