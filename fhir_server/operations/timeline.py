"""Patient $timeline: the steps of all a patient's plans in the order they are due, each as of a day.

The answer is plain R4: a List that names the steps with their states, the steps, what they show and what they scored.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from fhir_server.interactions.answer import present
from fhir_server.interactions.exchange import Response
from fhir_server.model.dates import zone
from fhir_server.model.json import decode, encode
from fhir_server.operations.found import query_of
from fhir_server.operations.plans_parameters import as_of_given
from fhir_server.operations.request import OperationRequest
from fhir_server.pathways.step_outcome import outputs, resources
from fhir_server.pathways.timeline import Entry, entry_of, is_on_timeline
from fhir_server.storage.base import StoredVersion

Json = dict[str, Any]

_MOST = 5000
"""Steps, and what belongs to them: more than any patient has."""
_STOOD_DOWN = "stood-down"


async def timeline(call: OperationRequest) -> Response:
    """Raises ResourceNotFound (404) for a patient who is not here, or not the caller's; ResourceGone (410)."""
    patient_type, patient_id = call.target
    server = call.server
    present(await server.store.read(call.scope, patient_type, patient_id), patient_type, patient_id)
    base, today = server.settings.canonical_base, server.clock.today()
    as_of = as_of_given(call)
    where = zone(server.settings.time_zone)
    entries: list[tuple[Entry, StoredVersion, Json]] = []
    for version in await _steps(call, patient_id):
        step = decode(version.body or b"")
        entry = entry_of(step, as_of, today, where, base) if is_on_timeline(step, base) else None
        if entry is not None and (entry.state != _STOOD_DOWN or call.one("all")):
            entries.append((entry, version, step))
    entries.sort(key=lambda one: one[0].place)
    shown = await _belongings(call, [step for _, _, step in entries])
    listed = _list(f"Patient/{patient_id}", [entry for entry, _, _ in entries], as_of, call)
    versions = [*(version for _, version, _ in entries), *shown]
    bodies = [b'{"resource":' + encode(listed) + b"}", *(_entry(call, version) for version in versions)]
    return Response(200, b'{"resourceType":"Bundle","type":"collection","entry":[' + b",".join(bodies) + b"]}")


async def _steps(call: OperationRequest, patient_id: str) -> list[StoredVersion]:
    queries = [
        query_of(call.server, kind, [("patient", patient_id)], _MOST)
        for kind in ("Task", "Appointment", "ServiceRequest")
    ]
    return (await call.server.store.search_all(call.scope, queries)).matches


async def _belongings(call: OperationRequest, steps: Iterable[Json]) -> list[StoredVersion]:
    """The Libraries that steps show, in the versions they name, and the scores of their responses."""
    base = call.server.settings.canonical_base
    tasks = [step for step in steps if step["resourceType"] == "Task"]
    canonicals = {canonical for task in tasks for canonical in resources(task, base)}
    responses = [reference for task in tasks for reference in outputs(task, "QuestionnaireResponse")]
    queries = []
    if canonicals:
        urls = sorted({canonical.partition("|")[0] for canonical in canonicals})
        queries.append(query_of(call.server, "Library", [("url", ",".join(map(_escaped, urls)))], _MOST))
    if responses:
        queries.append(query_of(call.server, "Observation", [("derived-from", ",".join(responses))], _MOST))
    if not queries:
        return []
    found = (await call.server.store.search_all(call.scope, queries)).matches
    return [one for one in found if one.resource_type != "Library" or _canonical(one) in canonicals]


def _escaped(value: str) -> str:
    """R4 search.html#escaping."""
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|").replace("$", "\\$")


def _canonical(library: StoredVersion) -> str:
    resource = decode(library.body or b"")
    return f"{resource.get('url')}|{resource.get('version')}"


def _entry(call: OperationRequest, version: StoredVersion) -> bytes:
    url = f"{call.request.base_url}/{version.resource_type}/{version.logical_id}"
    return b'{"fullUrl":' + encode(url) + b',"resource":' + (version.body or b"") + b"}"


def _list(subject: str, entries: list[Entry], as_of: date, call: OperationRequest) -> Json:
    """R4 list.html: mode snapshot; its entries have no date of their own (lst-3), so an extension says when."""
    base = call.server.settings.canonical_base
    made: Json = {
        "resourceType": "List",
        "status": "current",
        "mode": "snapshot",
        "title": f"Timeline as of {as_of}",
        "subject": {"reference": subject},
        "date": call.server.clock.now().isoformat(timespec="seconds"),
        "orderedBy": {"coding": [{"system": f"{base}/CodeSystem/msk-list-order", "code": "due"}]},
    }
    if entries:
        made["entry"] = [_item(entry, base) for entry in entries]
    else:
        made["emptyReason"] = {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/list-empty-reason", "code": "nilknown"}]
        }
    return made


def _item(entry: Entry, base: str) -> Json:
    item: Json = {}
    if entry.due is not None:
        item["extension"] = [{"url": f"{base}/StructureDefinition/msk-due", "valueDate": entry.due.isoformat()}]
    item["flag"] = {"coding": [{"system": f"{base}/CodeSystem/msk-step-state", "code": entry.state}]}
    item["item"] = {"reference": entry.reference}
    if entry.title:
        item["item"]["display"] = entry.title
    return item
