"""create and conditional create (R4 http.html#create, #ccreate)."""

from __future__ import annotations

from typing import Any

from fhir_server.errors import FhirError, Issue
from fhir_server.interactions.answer import written
from fhir_server.interactions.body import resource_of
from fhir_server.interactions.condition import foresee, sole_match
from fhir_server.interactions.consequences import AlreadyStored, react
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.interactions.integrity import check_references
from fhir_server.interactions.logical_id import new_id
from fhir_server.interactions.questionnaire_answers import check_answers
from fhir_server.model.aside import aside
from fhir_server.search.conditional import conditional_criteria
from fhir_server.search.parse import TRANSPORT_PARAMETERS
from fhir_server.storage.base import Draft, StoredVersion, Transaction


async def create(server: Server, request: Request, resource_type: str) -> Response:
    """201 with the new resource; with If-None-Exist 200 and the one that matches, 412 when several do.

    What is sent again and must not be there twice is answered as by If-None-Exist (interactions/consequences.py).
    """

    def read() -> tuple[dict[str, Any], Draft]:
        resource = resource_of(server, request, resource_type)
        return resource, prepare_for(server, resource, new_id(), fresh=True)

    resource, draft = await aside(len(request.body), read)
    criteria = criteria_of(request)
    condition = None
    if criteria is not None:
        condition = conditional_criteria(
            resource_type,
            criteria,
            base_url=request.base_url,
            time_zone=server.settings.time_zone,
            registry=server.registry,
        )
        await foresee(server, request, (condition,))

    async def work(transaction: Transaction) -> tuple[StoredVersion, int, list[Issue]]:
        if condition is not None:
            found = await sole_match(server, transaction, condition)
            if found is not None:
                return found, 200, []
        await check_references(server, transaction, resource)
        warnings = await check_answers(server, transaction, resource)
        version = await transaction.put(draft)
        return version, 201, [*warnings, *await react(server, transaction, version, replaceable=True)]

    try:
        return written(request, *await server.store.write(request.scope, work))
    except AlreadyStored as known:
        return written(request, known.version, 200, known.issues)


def criteria_of(request: Request) -> str | list[tuple[str, str]] | None:
    """If-None-Exist, or the parameters of the URL, which some clients send instead of it."""
    header = request.header("if-none-exist")
    sent = [(name, value) for name, value in request.query if name not in TRANSPORT_PARAMETERS]
    if header is not None and sent:
        raise FhirError("Give the criteria once, in If-None-Exist.", code="value")
    return header if header is not None else sent or None
