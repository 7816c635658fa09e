"""ServiceRequest $submit: a referral enters the service, with its coordinating Task and its EpisodeOfCare."""

from __future__ import annotations

from typing import Any

from fhir_server.errors import BusinessRule, Conflict, FhirError, InvalidResource
from fhir_server.interactions.answer import location
from fhir_server.interactions.exchange import Response, Server
from fhir_server.interactions.integrity import check_references
from fhir_server.interactions.logical_id import new_id
from fhir_server.model.dates import zone
from fhir_server.model.reference import localise
from fhir_server.operations.found import found
from fhir_server.operations.plans_parameters import expression
from fhir_server.operations.plans_stored import living_patient
from fhir_server.operations.referral_moves import (
    Move,
    Moved,
    answer,
    business_status,
    carry_out,
    episode_in,
    move,
    refuse_illegal,
)
from fhir_server.operations.referral_record import COORDINATE, Referral, with_events
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.stored import content_of
from fhir_server.pathways.referral import STATES
from fhir_server.pathways.referral_rules import UBRN, birth_issues, day_received, referral_issues
from fhir_server.pathways.rtt import Event, status_after
from fhir_server.storage.base import Transaction
from fhir_server.validation import validate

Json = dict[str, Any]

_SUBMITTED = STATES["submitted"]


async def submit(call: OperationRequest) -> Response:
    """201 for a referral sent with the call, 200 for a stored draft.

    Raises BusinessRule (422) with everything that a referral needs and this one lacks, Conflict (409) for a UBRN that
    has been submitted before.
    """
    if call.logical_id is not None:
        if call.one("referral") is not None:
            raise FhirError("The stored draft is submitted: leave referral out.", expression=expression("referral"))
        return await move(call, _submitted)
    request = _sent(call)

    async def work(transaction: Transaction) -> Moved:
        await check_references(call.server, transaction, request)
        return await carry_out(call, transaction, Referral(request, None, None, _base(call.server)), _submitted)

    done = await call.server.store.write(call.scope, work)
    answered = answer(call, done, 201)
    answered.headers["Location"] = location(call.request, done.version)
    return answered


def _sent(call: OperationRequest) -> Json:
    """The ServiceRequest of the call, valid, under an id of its own."""
    request: Json | None = call.one("referral")
    if request is None:
        raise InvalidResource("Send the ServiceRequest as referral.", code="required")
    if "id" in request:
        raise BusinessRule(
            "A referral that is stored is submitted by itself: ServiceRequest/[id]/$submit.",
            expression="ServiceRequest.id",
        )
    if request.get("status") not in ("draft", "active"):
        raise BusinessRule("A referral is submitted as draft or active.", expression="ServiceRequest.status")
    validate(request)
    localise(request, call.request.base_url)
    return {"resourceType": "ServiceRequest", "id": new_id(), **request, "status": "draft"}


async def _submitted(call: OperationRequest, transaction: Transaction, referral: Referral) -> Move:
    """The referral complete, its Task and its episode made."""
    server = call.server
    refuse_illegal(referral, _SUBMITTED)
    await _refuse_unfit(server, transaction, referral.request)
    referral.request = _received(referral.request, server)
    task = _task(referral.request, server)
    episode = _episode(referral.request, server)
    return Move(_SUBMITTED, made=[task, episode])


async def _refuse_unfit(server: Server, transaction: Transaction, request: Json) -> None:
    issues = referral_issues(request, _base(server), server.clock.today(), zone(server.clock.time_zone))
    subject = str(request.get("subject", {}).get("reference", ""))
    if subject.startswith("Patient/"):
        patient = await living_patient(transaction, subject, "ServiceRequest.subject")
        issues += birth_issues(request, patient, _base(server), zone(server.clock.time_zone))
    if issues:
        raise BusinessRule("The referral cannot be submitted as it is.", issues=issues)
    for identifier in request["identifier"]:
        if identifier.get("system") == UBRN:
            await _refuse_known(server, transaction, request, identifier["value"])


async def _refuse_known(server: Server, transaction: Transaction, request: Json, ubrn: str) -> None:
    for version in await found(server, transaction, "ServiceRequest", [("identifier", f"{UBRN}|{ubrn}")], 10):
        other = content_of(version)
        if other["id"] != request["id"] and other["status"] in ("active", "on-hold", "completed"):
            raise Conflict(
                f"ServiceRequest/{other['id']} has this UBRN and was submitted before: a referral comes in once.",
                code="duplicate",
                expression="ServiceRequest.identifier",
            )


def _received(request: Json, server: Server) -> Json:
    """With the moment it was received, which is now unless the sender's system says otherwise."""
    url = f"{_base(server)}/StructureDefinition/msk-received"
    if any(one["url"] == url for one in request.get("extension", ())):
        return request
    received = {"url": url, "valueDateTime": server.clock.now().isoformat(timespec="seconds")}
    return {**request, "extension": [*request.get("extension", ()), received]}


def _task(request: Json, server: Server) -> Json:
    now = server.clock.now().isoformat(timespec="seconds")
    task: Json = {
        "resourceType": "Task",
        "id": new_id(),
        "status": _SUBMITTED.task,
        "businessStatus": business_status(_SUBMITTED, server),
        "intent": "order",
        "code": {"coding": [{"system": f"{_base(server)}/CodeSystem/msk-task-code", "code": COORDINATE}]},
        "focus": {"reference": f"ServiceRequest/{request['id']}"},
        "for": request["subject"],
        "authoredOn": now,
        "lastModified": now,
        "requester": request["requester"],
    }
    if "priority" in request:
        task["priority"] = request["priority"]
    return task


def _episode(request: Json, server: Server) -> Json:
    start = day_received(request, _base(server), server.clock.today(), zone(server.clock.time_zone))
    episode: Json = {
        "resourceType": "EpisodeOfCare",
        "id": new_id(),
        "status": "",
        "patient": request["subject"],
        "referralRequest": [{"reference": f"ServiceRequest/{request['id']}"}],
        "period": {"start": start.isoformat()},
    }
    events = [Event(start, _SUBMITTED.code, status_after([], _SUBMITTED.code))]
    return with_events(episode_in(episode, _SUBMITTED, server), events, _base(server))


def _base(server: Server) -> str:
    return server.settings.canonical_base
