"""$purge: erase a resource, or a patient's whole compartment, with history, index and stored bytes.

An operation of this server: R4 has only delete, which keeps the history (http.html#delete).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import fields
from functools import partial

from fhir_server.errors import InvalidResource, ResourceNotFound
from fhir_server.interactions.exchange import Response
from fhir_server.model import json
from fhir_server.operations.erasure import Erasure, Key, plan_erasure
from fhir_server.operations.request import OperationRequest
from fhir_server.storage.base import PurgeCounts, Transaction

PARAMETER_NAMES = {"resources": "resources", "versions": "versions", "index_rows": "indexRows", "blobs": "blobs"}
"""PurgeCounts field -> out parameter."""


async def purge(call: OperationRequest) -> Response:
    """Raises ResourceNotFound when there is nothing, InvalidResource for `compartment` on another type."""
    key = call.target
    whole = bool(call.one("compartment"))
    if whole and key[0] != "Patient":
        raise InvalidResource("Parameter compartment applies to a Patient only: leave it out.")
    store = call.server.store
    erasure = await plan_erasure(store, call.scope, key[1], call.server.settings.time_zone) if whole else Erasure({key})
    counts, retained = await store.write(call.scope, partial(_erase, key, erasure))
    for resource_type in counts:
        call.server.forms.written(resource_type)
    return Response(200, json.encode(_answer(counts, retained)))


async def _erase(key: Key, erasure: Erasure, transaction: Transaction) -> tuple[dict[str, PurgeCounts], list[Key]]:
    """What was removed per type, and what was left because it is no longer the patient's."""
    if await transaction.current(*key) is None:
        raise ResourceNotFound(f"There is no {key[0]}/{key[1]} to purge.")
    doomed, retained = await erasure.decide(transaction)
    counts: dict[str, PurgeCounts] = defaultdict(PurgeCounts)
    for resource_type, logical_id in sorted(doomed):
        purged = await transaction.purge(resource_type, logical_id)
        if purged.versions:
            _add(counts[resource_type], purged)
    return counts, sorted(retained)


def _add(total: PurgeCounts, counts: PurgeCounts) -> None:
    for count in fields(PurgeCounts):
        setattr(total, count.name, getattr(total, count.name) + getattr(counts, count.name))


def _answer(counts: dict[str, PurgeCounts], retained: Iterable[Key]) -> dict[str, object]:
    total = PurgeCounts()
    for of_type in counts.values():
        _add(total, of_type)
    parameters: list[dict[str, object]] = [
        {"name": name, "valueInteger": getattr(total, field)} for field, name in PARAMETER_NAMES.items()
    ]
    parameters += (
        {
            "name": "type",
            "part": [
                {"name": "name", "valueCode": resource_type},
                {"name": "resources", "valueInteger": of_type.resources},
            ],
        }
        for resource_type, of_type in counts.items()
    )
    parameters += (
        {"name": "retained", "valueReference": {"reference": f"{resource_type}/{logical_id}"}}
        for resource_type, logical_id in retained
    )
    return {"resourceType": "Parameters", "parameter": parameters}
