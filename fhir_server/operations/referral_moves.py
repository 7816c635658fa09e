"""A move of a referral from one state to the next: one transaction, with its Provenance.

Every move needs If-Match (R4 http.html#concurrency): two people at one referral must not undo each other's decision.
What a move does beside the states is its `Move`; which moves are legal is data (pathways/referral.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from fhir_server.errors import BusinessRule, FhirError, Issue, operation_outcome
from fhir_server.interactions.answer import present, version_headers
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Response, Server
from fhir_server.interactions.preconditions import check_if_match
from fhir_server.model.instant import MICROS, parse_instant
from fhir_server.model.json import encode
from fhir_server.operations.found import found
from fhir_server.operations.plan_ending import discharge_plan, end_plan
from fhir_server.operations.referral_parameters import performer_of
from fhir_server.operations.referral_provenance import moved
from fhir_server.operations.referral_record import COORDINATE, Referral, read_referral, with_events
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.slots import TO_COME, free_slots
from fhir_server.operations.stored import content_of, put_json
from fhir_server.pathways.referral import STATES, State, moves_from, next_of
from fhir_server.pathways.replan import Moment, stood_down
from fhir_server.pathways.rtt import Event, account, day_of_event, is_first_activity, may_decide, status_after
from fhir_server.storage.base import Draft, StoredVersion, Transaction

Json = dict[str, Any]

_WITHDRAWN = STATES["withdrawn"]
_TWO_WEEK_WAIT = "asap"
"""ServiceRequest.priority for TWO_WEEK_WAIT (ConceptMap ers-priority-to-request-priority)."""
_MOST = 1000
"""More than one referral's services and one patient's active plans."""


@dataclass(slots=True)
class Move:
    """What one move does."""

    to: State
    rtt: str | None = None
    """The RTT status that was decided; None: the usual one."""
    day: date | None = None
    """When it happened; None: today."""
    made: list[Json] = field(default_factory=list)
    """Resources to store anew."""
    changed: list[Json] = field(default_factory=list)
    """Resources to store again."""
    stored: list[Json] = field(default_factory=list)
    """Resources that are in the transaction already."""
    then: Callable[[], Awaitable[list[Json]]] | None = None
    """Stores what follows once the referral has moved, and gives it back."""
    output: list[Json] = field(default_factory=list)
    """What the coordinating Task led to (Task.output)."""
    issues: list[Issue] = field(default_factory=list)
    """For people to look at."""
    reopening: bool = False
    """The one way out of `discharged`, and no other way into a state."""
    died: bool = False
    """The patient has: what is still planned stands down for that reason."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The referral's new version, and all that changed, the ServiceRequest first."""

    version: StoredVersion
    resources: list[Json]
    issues: list[Issue]


Decide = Callable[[OperationRequest, Transaction, Referral], Awaitable[Move]]


async def move(call: OperationRequest, decide: Decide) -> Response:
    """Carry out what `decide` says of the referral the call is about; all that changed, as a collection.

    Raises 400 without If-Match, 412 for a stale one, BusinessRule (422) for an illegal move.
    """
    require_if_match(call)
    _, logical_id = call.target

    async def work(transaction: Transaction) -> Moved:
        version = present(await transaction.current("ServiceRequest", logical_id), "ServiceRequest", logical_id)
        check_if_match(call.request, version)
        referral = await read_referral(call.server, transaction, content_of(version))
        return await carry_out(call, transaction, referral, decide)

    return answer(call, await call.server.store.write(call.scope, work))


async def carry_out(call: OperationRequest, transaction: Transaction, referral: Referral, decide: Decide) -> Moved:
    """The move within `transaction`. Raises BusinessRule (422) when it is not legal now."""
    decided = await decide(call, transaction, referral)
    refuse_illegal(referral, decided.to, reopening=decided.reopening)
    return await _store(call.server, transaction, referral, decided, performer_of(call), call.one("reason"))


async def withdraw_for_death(
    server: Server, transaction: Transaction, patient: str, died: date | None
) -> tuple[list[Json], list[Issue]]:
    """Withdraw every referral of `patient` (Patient/[id]) that is under way as of the day they `died`.

    What changed, as stored, and a warning for each referral that cannot be moved.
    """
    base = server.settings.canonical_base
    criteria = [("patient", patient), ("code", f"{base}/CodeSystem/msk-task-code|{COORDINATE}")]
    changed: list[Json] = []
    issues: list[Issue] = []
    for version in await found(server, transaction, "Task", criteria, _MOST):
        kind, _, logical_id = str(content_of(version).get("focus", {}).get("reference", "")).partition("/")
        stored = await transaction.current(kind, logical_id)
        if stored is None or stored.body is None:
            continue
        try:
            referral = await read_referral(server, transaction, content_of(stored))
            referral.events  # noqa: B018 - whether they can be read
        except BusinessRule as fault:
            # What is broken there must not keep the death from being recorded.
            text = f"{kind}/{logical_id} could not be withdrawn: {fault}"
            issues.append(Issue("business-rule", text, None, "warning"))
            continue
        if _WITHDRAWN.code in next_of(referral.state, referral.request["status"]):
            running = account(referral.events).running is not None
            # 36 is a death before treatment: a clock that has stopped keeps the reason it stopped for.
            decided = Move(_WITHDRAWN, rtt="36" if running else None, day=died, died=True)
            changed += (await _store(server, transaction, referral, decided, None, "The patient has died.")).resources
    return changed, issues


async def move_with_appointment(
    server: Server, transaction: Transaction, request: Json, to: State, reason: str
) -> list[Json]:
    """Move the referral to what became of its Appointment; what changed, as stored. Raises BusinessRule (422)."""
    referral = await read_referral(server, transaction, request)
    refuse_illegal(referral, to)
    return (await _store(server, transaction, referral, Move(to), None, reason)).resources


async def _store(
    server: Server,
    transaction: Transaction,
    referral: Referral,
    decided: Move,
    performer: str | None,
    reason: str | None,
) -> Moved:
    events = [*referral.events, event_of(server, referral, decided)]
    request = await transaction.put(_draft(server, request_in(referral.request, decided.to, server)))
    resources: list[Json] = []
    if referral.task is not None:
        resources.append(task_in(referral.task, decided, server, reason))
    if referral.episode is not None:
        resources.append(with_events(episode_in(referral.episode, decided.to, server), events, referral.canonical_base))
    stored = [await put_json(server, transaction, one) for one in (*resources, *decided.changed)]
    stored += [await put_json(server, transaction, one, fresh=True) for one in decided.made]
    stored += decided.stored
    if decided.then is not None:
        stored += await decided.then()
    stored += await _consequences(server, transaction, referral, decided)
    why = moved(
        [content_of(request), *stored],
        state=decided.to.code,
        performer=performer,
        reason=reason,
        recorded=transaction.last_updated,
        occurred=server.clock.now(),
        canonical_base=referral.canonical_base,
    )
    stored.append(await put_json(server, transaction, why, fresh=True))
    return Moved(request, [content_of(request), *stored], decided.issues)


def require_if_match(call: OperationRequest) -> None:
    if call.request.header("if-match") is None:
        raise FhirError(
            'The move needs If-Match with the ETag of the ServiceRequest as you read it, for example W/"2".',
            code="required",
        )


def answer(call: OperationRequest, done: Moved, status: int = 200) -> Response:
    """The collection, under the ETag of the ServiceRequest; an OperationOutcome comes last when there is one."""
    base = call.request.base_url
    entries: list[Json] = [
        {"fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}", "resource": resource}
        for resource in done.resources
    ]
    if done.issues:
        entries.append({"resource": operation_outcome(done.issues)})
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    return Response(status, encode(bundle), version_headers(done.version))


def refuse_illegal(referral: Referral, to: State, *, reopening: bool = False) -> None:
    """Raises BusinessRule (422) naming the moves that are legal."""
    status = referral.request["status"]
    if to.code in next_of(referral.state, status) and reopening == (referral.state == "discharged"):
        return
    legal = moves_from(referral.state, status)
    may = f"Legal now: {', '.join(legal)}." if legal else "It is over: a new referral may name it in replaces."
    raise BusinessRule(
        f"ServiceRequest/{referral.request['id']} is {referral.state} and cannot become {to.code}. {may}",
        expression="ServiceRequest",
    )


def event_of(server: Server, referral: Referral, decided: Move) -> Event:
    """What the move is to the clock. Raises BusinessRule (422) for an RTT status that does not go with it."""
    events = referral.events
    state = decided.to.code
    may = may_decide(state, running=account(events).running is not None, first=is_first_activity(events))
    if decided.rtt is not None and decided.rtt not in may:
        allowed = f"one of {', '.join(may)}" if may else "left out"
        raise BusinessRule(
            f"rtt must be {allowed} when the referral becomes {state}, not {decided.rtt}.",
            code="code-invalid",
            expression="Parameters.parameter.where(name='rtt').value",
        )
    two_week_wait = referral.request.get("priority") == _TWO_WEEK_WAIT
    status = status_after(events, state, given=decided.rtt, two_week_wait=two_week_wait)
    return Event(day_of_event(events, decided.day, server.clock.today()), state, status)


def request_in(request: Json, state: State, server: Server) -> Json:
    """The ServiceRequest in `state`."""
    url = f"{server.settings.canonical_base}/StructureDefinition/msk-referral-state"
    others = [one for one in request.get("extension", ()) if one["url"] != url]
    return {**request, "extension": [*others, {"url": url, "valueCode": state.code}], "status": state.request}


def task_in(task: Json, decided: Move, server: Server, reason: str | None) -> Json:
    """The coordinating Task in the state moved to."""
    state = decided.to
    changed = {
        **task,
        "status": state.task,
        "businessStatus": business_status(state, server),
        "lastModified": server.clock.now().isoformat(timespec="seconds"),
    }
    changed.pop("statusReason", None)
    if reason is not None:
        changed["statusReason"] = {"text": reason}
    if decided.output:
        changed["output"] = [*task.get("output", ()), *decided.output]
    return changed


def business_status(state: State, server: Server) -> Json:
    system = f"{server.settings.canonical_base}/CodeSystem/msk-referral-state"
    return {"coding": [{"system": system, "code": state.code}]}


def episode_in(episode: Json, state: State, server: Server) -> Json:
    """The EpisodeOfCare in `state`, with the statuses it has been through (R4 episodeofcare.html)."""
    today = server.clock.today().isoformat()
    changed = dict(episode)
    if state.episode != episode["status"]:
        history = [dict(one) for one in episode.get("statusHistory", ())]
        for one in history:
            period = one.get("period", {})
            one["period"] = {**period, "end": period.get("end", max(today, period.get("start", today)))}
        changed["status"] = state.episode
        changed["statusHistory"] = [*history, {"status": state.episode, "period": {"start": today}}]
    over = state.episode in ("finished", "cancelled")
    period = {key: value for key, value in episode.get("period", {}).items() if key != "end"}
    changed["period"] = {**period, "end": max(today, period.get("start", today))} if over else period
    return changed


async def _consequences(server: Server, transaction: Transaction, referral: Referral, decided: Move) -> list[Json]:
    """What the end of a referral does to the services' requests and to the plans made for it."""
    status = decided.to.request
    if status not in ("revoked", "completed"):
        return []
    name = f"ServiceRequest/{referral.request['id']}"
    changed: list[Json] = []
    for version in await found(server, transaction, "ServiceRequest", [("based-on", name)], _MOST):
        child = content_of(version)
        if child["status"] in ("draft", "active", "on-hold"):
            changed.append(await put_json(server, transaction, {**child, "status": status}))
    died = decided.died or decided.rtt == "36"
    why = "died" if died else "plan-ended"
    if status == "revoked":
        changed += await _call_off(server, transaction, name, why)
    subject = referral.request["subject"].get("reference")
    if subject is None:
        return changed
    for version in await found(server, transaction, "CarePlan", [("subject", subject), ("status", "active")], _MOST):
        plan = content_of(version)
        if any(one.get("reference") == name for one in plan.get("supportingInfo", ())):
            if status == "completed":
                changed += await discharge_plan(server, transaction, plan)
            else:
                changed += await end_plan(server, transaction, plan, why)
    return changed


async def _call_off(server: Server, transaction: Transaction, referral: str, reason: str) -> list[Json]:
    """Cancel what was arranged for the referral and is still to come, its slots freed."""
    moment = Moment(server.clock.now(), server.settings.canonical_base)
    changed = []
    criteria = [("based-on", referral), ("status", ",".join(sorted(TO_COME)))]
    for version in await found(server, transaction, "Appointment", criteria, _MOST):
        appointment = content_of(version)
        start = parse_instant(appointment.get("start", ""))
        if start is None or start > moment.now.timestamp() * MICROS:
            changed.append(await put_json(server, transaction, stood_down(appointment, reason, moment)))
            await free_slots(server, transaction, appointment)
    return changed


def _draft(server: Server, request: Json) -> Draft:
    return prepare_for(server, request, request["id"])
