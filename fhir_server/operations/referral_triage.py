"""ServiceRequest $triage: what is decided of a referral, and what follows from it, in one transaction."""

from __future__ import annotations

from typing import Any

from fhir_server.errors import BusinessRule, Issue
from fhir_server.interactions.exchange import Response, Server
from fhir_server.interactions.logical_id import new_id
from fhir_server.operations.found import found
from fhir_server.operations.plans import Applying, plan_for, put_plan
from fhir_server.operations.plans_definitions import named_definition, pathway_of
from fhir_server.operations.plans_parameters import anchors_given, code_given, expression, side_given
from fhir_server.operations.referral_moves import Move, move, refuse_illegal
from fhir_server.operations.referral_parameters import local_references
from fhir_server.operations.referral_record import Referral
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.stored import content_of
from fhir_server.pathways.referral import STATES, TRANSFERRED, State
from fhir_server.pathways.referral_rules import SERVICE
from fhir_server.storage.base import Transaction

Json = dict[str, Any]

_OUTCOMES = {
    "accept": STATES["accepted"],
    "redirect": STATES["redirected"],
    "more-info": STATES["more-info"],
    "reject": STATES["rejected"],
    "advice": STATES["advice"],
}
"""CodeSystem msk-triage-outcome."""
_NEED_REASON = ("more-info", "reject", "advice")
_COPIED = (
    "priority", "code", "reasonCode", "reasonReference", "bodySite", "requester", "supportingInfo",
)  # fmt: skip
"""What a service has to know of the referral."""
_CHILDREN = 100


async def triage(call: OperationRequest) -> Response:
    return await move(call, _decide)


async def _decide(call: OperationRequest, transaction: Transaction, referral: Referral) -> Move:
    outcome = code_given(call, "outcome", list(_OUTCOMES)) or ""
    services = local_references(call, "service", ("HealthcareService",))
    to = _target(outcome, services)
    refuse_illegal(referral, to)
    _refuse_unfit(call, outcome, services)
    await _check_services(transaction, services)
    children = [_child(referral.request, service, call.server) for service in services]
    decided = Move(to, rtt="21" if to is TRANSFERRED else None)
    if outcome in ("accept", "redirect"):
        decided.changed = await _replaced(call.server, transaction, referral, children)
    decided.made = children
    decided.output = [_output(child, call.server) for child in children]
    if call.one("pathway") is not None:
        await _plan(call, transaction, referral, decided)
    return decided


def _target(outcome: str, services: list[str]) -> State:
    return TRANSFERRED if outcome == "redirect" and not services else _OUTCOMES[outcome]


def _refuse_unfit(call: OperationRequest, outcome: str, services: list[str]) -> None:
    issues = []
    if outcome == "accept" and not services:
        issues.append(Issue("required", "Say which services take the referral.", expression("service")))
    if services and outcome not in ("accept", "redirect"):
        issues.append(Issue("business-rule", f"With {outcome} no service takes it.", expression("service")))
    if len(set(services)) != len(services):
        issues.append(Issue("value", "A service is named twice.", expression("service")))
    if call.one("pathway") is not None and outcome != "accept":
        issues.append(Issue("business-rule", "A plan is made of accepted referrals only.", expression("pathway")))
    if outcome in _NEED_REASON and call.one("reason") is None:
        issues.append(Issue("required", f"The referrer needs to know the reason for {outcome}.", expression("reason")))
    if issues:
        raise BusinessRule("The outcome cannot be recorded.", issues=issues)


async def _check_services(transaction: Transaction, services: list[str]) -> None:
    for service in services:
        kind, _, logical_id = service.partition("/")
        stored = await transaction.current(kind, logical_id)
        if stored is None or stored.body is None:
            raise BusinessRule(f"There is no {service}.", code="not-found", expression=expression("service"))
        if content_of(stored).get("active") is False:
            raise BusinessRule(f"{service} is not active.", expression=expression("service"))


def _child(request: Json, service: str, server: Server) -> Json:
    """What one service is asked to do."""
    child = {
        "resourceType": "ServiceRequest",
        "id": new_id(),
        "basedOn": [{"reference": f"ServiceRequest/{request['id']}"}],
        "status": "active",
        "intent": "order",
        "subject": request["subject"],
        "authoredOn": server.clock.now().isoformat(timespec="seconds"),
        "performer": [{"reference": service}],
    }
    return (
        child | {element: request[element] for element in _COPIED if element in request} | _categories(request, server)
    )


def _categories(request: Json, server: Server) -> Json:
    """The referral's, but for the one that says it is the referral."""
    system = f"{server.settings.canonical_base}/CodeSystem/msk-request-category"
    others = [
        concept
        for concept in request.get("category", ())
        if not any(coding.get("system") == system for coding in concept.get("coding", ()))
    ]
    return {"category": [*others, {"coding": [{"system": system, "code": SERVICE}]}]}


async def _replaced(server: Server, transaction: Transaction, referral: Referral, children: list[Json]) -> list[Json]:
    """The services asked before, revoked; the new requests replace them (R4 ServiceRequest.replaces)."""
    criteria = [("based-on", f"ServiceRequest/{referral.request['id']}")]
    earlier = [content_of(one) for one in await found(server, transaction, "ServiceRequest", criteria, _CHILDREN)]
    revoked = [{**one, "status": "revoked"} for one in earlier if one["status"] in ("active", "on-hold")]
    if referral.state == "redirected":
        # Those are what the redirection asked: the service that accepts is one of them, or another in their place.
        kept = {performer(one) for one in children}
        for one in revoked:
            if performer(one) in kept:
                children[:] = [child for child in children if performer(child) != performer(one)]
        revoked = [one for one in revoked if performer(one) not in kept]
    for child in children:
        if revoked:
            child["replaces"] = [{"reference": f"ServiceRequest/{one['id']}"} for one in revoked]
    return revoked


def performer(request: Json) -> str | None:
    performers = request.get("performer", ())
    return performers[0].get("reference") if performers else None


def _output(child: Json, server: Server) -> Json:
    system = f"{server.settings.canonical_base}/CodeSystem/msk-task-input"
    return {
        "type": {"coding": [{"system": system, "code": "service-request"}]},
        "valueReference": {"reference": f"ServiceRequest/{child['id']}"},
    }


async def _plan(call: OperationRequest, transaction: Transaction, referral: Referral, decided: Move) -> None:
    """Store the plan of the pathway, accepted today."""
    server = call.server
    if "reference" not in referral.request["subject"]:
        raise BusinessRule("A plan needs the Patient of this server.", expression="ServiceRequest.subject")
    definition = await named_definition(transaction, str(call.one("pathway")), expression("pathway"))
    events = (await pathway_of(server, transaction, definition)).events
    anchors = {event: day for event, day in anchors_given(call).items() if day is not None}
    if "accepted" in events:
        anchors.setdefault("accepted", server.clock.today())
    applying = Applying(
        subject=referral.request["subject"]["reference"],
        anchors=anchors,
        referral=f"ServiceRequest/{referral.request['id']}",
        laterality=side_given(call),
    )
    applied = await plan_for(server, transaction, definition, applying)
    await put_plan(server, transaction, applied)
    made = [(one["resourceType"], one["id"]) for one in applied.resources]
    stored = await transaction.versions(made, bodies=True)
    decided.stored = [content_of(version) for version in stored.values()]
    decided.issues = applied.issues
