"""Each way to break the sound workflow by hand: the rules that must tell, of which resource, and what to do.

What is done changes the newest version of a resource, or adds one. The rules are those of the step machine (planned =
draft, available = requested, done = completed, missed = failed, stood down = cancelled) and of R4's CarePlan and Task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.pathways.workflow import (
    BASE,
    OKS,
    action,
    answers,
    clock,
    coordination,
    plan,
    reminder,
    side,
    task,
    timing,
    told,
    why,
)

Json = dict[str, Any]
Workflow = dict[str, list[Json]]
Break = Callable[[Workflow], None]


def change(reference: str, **elements: Any) -> Break:
    """Set elements; None takes one away."""

    def break_it(workflow: Workflow) -> None:
        changed = {**workflow[reference][-1], **elements}
        workflow[reference][-1] = {name: value for name, value in changed.items() if value is not None}

    return break_it


def add(resource: Json) -> Break:
    return lambda workflow: workflow.setdefault(f"{resource['resourceType']}/{resource['id']}", []).append(resource)


def follow(reference: str, **elements: Any) -> Break:
    """Add a version; None takes an element away."""

    def break_it(workflow: Workflow) -> None:
        versions = workflow[reference]
        changed = {**versions[-1], **elements, "meta": {"versionId": str(len(versions) + 1)}}
        versions.append({name: value for name, value in changed.items() if value is not None})

    return break_it


def state(code: str) -> Json:
    return {"coding": [{"system": f"{BASE}/CodeSystem/msk-referral-state", "code": code}]}


def mirrored(code: str) -> list[Json]:
    return [{"url": f"{BASE}/StructureDefinition/msk-referral-state", "valueCode": code}]


def withdrawn(clock: list[Json]) -> Break:
    """The referral is withdrawn as it should be, but for what its episode's clock and its plan say."""
    return together(
        follow("Task/coordination", status="cancelled", businessStatus=state("withdrawn")),
        add(told(4)),
        change("ServiceRequest/referral", status="revoked", extension=mirrored("withdrawn")),
        change("EpisodeOfCare/episode", status="cancelled", extension=clock),
    )


def drop(reference: str) -> Break:
    return lambda workflow: workflow.pop(reference) and None


def together(*breaks: Break) -> Break:
    def break_it(workflow: Workflow) -> None:
        for one in breaks:
            one(workflow)

    return break_it


def period(start: str, end: str) -> Json:
    return {"period": {"start": start, "end": end}}


ENDED = ("Task/seen", "Task/planned", "Appointment/class", "ServiceRequest/exercise")
"""The open steps, which an ending plan would leave open."""
CONSENT = {
    "resourceType": "Consent",
    "id": "out",
    "status": "active",
    "patient": {"reference": "Patient/p"},
    "category": [{"coding": [{"system": f"{BASE}/CodeSystem/msk-consent-category", "code": "pathway"}]}],
    "provision": {"type": "deny"},
}
DONE = {
    "status": "completed",
    "executionPeriod": {"start": "2026-02-09", "end": "2026-02-09"},
    "output": [{"type": {"text": "note"}, "valueString": "done"}],
}
SAME_PLAN = {**plan(), "id": "again", "activity": [], "supportingInfo": []}

BROKEN: dict[str, tuple[set[tuple[str, str]], Break]] = {
    "an activity that is not there": (
        {("activity-missing", "CarePlan/plan")},
        drop("Task/missed"),
    ),
    "a step that does not point back": (
        {("step-without-plan", "Task/seen"), ("step-unnamed", "Task/seen")},
        change("Task/seen", basedOn=[{"reference": "CarePlan/other"}]),
    ),
    "an appointment that does not point back": (
        {("step-without-plan", "Appointment/class"), ("step-unnamed", "Appointment/class")},
        change("Appointment/class", supportingInformation=None),
    ),
    "an extension of ours by halves": (
        {("unreadable", "Patient/p")},
        change(
            "Task/seen",
            extension=[{"url": f"{BASE}/StructureDefinition/msk-step-anchor"}, *action("guide")],
        ),
    ),
    "an activity named twice": (
        {("activity-twice", "CarePlan/plan")},
        change("CarePlan/plan", activity=[*plan()["activity"], {"reference": {"reference": "Task/missed"}}]),
    ),
    "a step that no plan names": (
        {("step-unnamed", "Task/stray")},
        add(task("stray", "failed", "2026-02-01", "2026-02-08", [], statusReason=why("window-closed"))),
    ),
    "two steps for one action": (
        {("action-twice", "ServiceRequest/exercise")},
        change("ServiceRequest/exercise", extension=[*timing(7, 0, 84), action("class")]),
    ),
    "open steps of a revoked plan": (
        {("open-in-ended-plan", step) for step in ENDED},
        change("CarePlan/plan", status="revoked"),
    ),
    "open steps of a completed plan": (
        {("open-in-ended-plan", step) for step in ENDED},
        change("CarePlan/plan", status="completed"),
    ),
    "a second active plan for the same side": (
        {("overlapping-plans", "CarePlan/again")},
        add(SAME_PLAN),
    ),
    "a second active plan for both sides": (
        {("overlapping-plans", "CarePlan/again")},
        add({**SAME_PLAN, "extension": [side("bilateral")]}),
    ),
    "steps of somebody who has died": (
        {("stands-for-nobody", name) for name in (*ENDED, "CarePlan/plan", "Task/coordination")},
        change("Patient/p", deceasedDateTime="2026-02-20"),
    ),
    "steps of a merged record": (
        {("stands-for-nobody", name) for name in (*ENDED, "CarePlan/plan")},
        change("Patient/p", active=False, link=[{"type": "replaced-by", "other": {"reference": "Patient/q"}}]),
    ),
    "steps of somebody who left the digital pathway": (
        {("stands-for-nobody", name) for name in (*ENDED, "CarePlan/plan")},
        add(CONSENT),
    ),
    "available before its window": (
        {("available-early", "Task/planned")},
        change("Task/planned", status="requested"),
    ),
    "a request active before its window": (
        {("available-early", "ServiceRequest/exercise")},
        change(
            "ServiceRequest/exercise",
            extension=[*timing(60, 0, 84), action("exercise")],
            occurrencePeriod={"start": "2026-04-02", "end": "2026-06-25"},
        ),
    ),
    "planned although its window is open": (
        {("planned-late", "Task/seen")},
        change("Task/seen", status="draft"),
    ),
    "available although its window has closed": (
        {("available-late", "Task/missed")},
        change("Task/missed", status="requested", statusReason=None),
    ),
    "a window that ends before it starts": (
        {("window-inverted", "Task/missed")},
        change("Task/missed", restriction=period("2026-02-08", "2026-02-01")),
    ),
    "done without a time": (
        {("done-when", "Task/answered")},
        change("Task/answered", executionPeriod=None),
    ),
    "done without output": (
        {("done-without-output", "Task/answered")},
        change("Task/answered", output=None),
    ),
    "done with a reason for not being done": (
        {("done-with-reason", "Task/answered")},
        change("Task/answered", statusReason=why("window-closed")),
    ),
    "missed for no reason": (
        {("missed-unexplained", "Task/missed")},
        change("Task/missed", statusReason=None),
    ),
    "missed because of a death": (
        {("missed-unexplained", "Task/missed")},
        change("Task/missed", statusReason=why("died")),
    ),
    "stood down for no reason": (
        {("stood-down-unexplained", "Task/missed")},
        change("Task/missed", status="cancelled", statusReason=None),
    ),
    "an appointment cancelled for no reason": (
        {("stood-down-unexplained", "Appointment/class")},
        change("Appointment/class", status="cancelled"),
    ),
    "a request revoked for no reason": (
        {("stood-down-unexplained", "ServiceRequest/exercise")},
        change("ServiceRequest/exercise", status="revoked"),
    ),
    "open with output": (
        {("output-while-open", "Task/seen"), ("response-twice", "Task/seen")},
        change("Task/seen", output=answers("QuestionnaireResponse/answers")),
    ),
    "a window that its anchor does not give": (
        {("window-off", "Task/seen")},
        change("Task/seen", restriction=period("2026-02-14", "2026-03-02")),
    ),
    "no window although there is the anchor": (
        {("window-off", "Task/planned")},
        change("Task/planned", restriction=None),
    ),
    "a window although there is no anchor": (
        {("window-without-anchor", "Task/planned")},
        change("Task/planned", extension=[*timing(30, 0, 14, event="operation"), action("planned")]),
    ),
    "a response that is not there": (
        {("response-missing", "Task/answered")},
        drop("QuestionnaireResponse/answers"),
    ),
    "a response still in progress": (
        {("response-unfinished", "Task/answered")},
        change("QuestionnaireResponse/answers", status="in-progress"),
    ),
    "a response to another questionnaire": (
        {("response-to-another", "Task/answered")},
        change("QuestionnaireResponse/answers", questionnaire=f"{BASE}/Questionnaire/ohs|1.0.0-neutral"),
    ),
    "a response to another version": (
        {("response-to-another", "Task/answered")},
        change("QuestionnaireResponse/answers", questionnaire=f"{OKS}-other"),
    ),
    "a response about somebody else": (
        {("response-of-another", "Task/answered")},
        change("QuestionnaireResponse/answers", subject={"reference": "Patient/q"}),
    ),
    "a response that ended two steps": (
        {("response-twice", "Task/twin")},
        together(
            add(
                task(
                    "twin",
                    "completed",
                    "2026-02-01",
                    "2026-02-15",
                    timing(0, 0, 14),
                    executionPeriod={"start": "2026-02-10", "end": "2026-02-10"},
                    output=answers("QuestionnaireResponse/answers"),
                )
            ),
            change("CarePlan/plan", activity=[*plan()["activity"], {"reference": {"reference": "Task/twin"}}]),
        ),
    ),
    "answers without a score": (
        {("unscored", "QuestionnaireResponse/answers")},
        drop("Observation/score"),
    ),
    "a withdrawn score only": (
        {("unscored", "QuestionnaireResponse/answers")},
        change("Observation/score", status="entered-in-error"),
    ),
    "a score that says nothing": (
        {("score-empty", "Observation/score")},
        change("Observation/score", valueQuantity=None),
    ),
    "planned again without a reason": (
        {("step-move", "Task/planned")},
        together(
            change("Task/planned", status="requested"),
            follow("Task/planned", status="draft"),
        ),
    ),
    "done before its window": (
        {("step-move", "Task/planned")},
        follow("Task/planned", **DONE, lastModified="2026-03-02T23:59:00+00:00"),
    ),
    "done although it was missed": (
        {("step-move", "Task/missed")},
        follow(
            "Task/missed",
            **DONE,
            statusReason=None,
        ),
    ),
    "a done step with another window": (
        {("ended-step-moved", "Task/answered")},
        follow("Task/answered", restriction=period("2026-03-01", "2026-03-15")),
    ),
    "a coordinating Task without its referral": (
        {("referral-missing", "Task/coordination"), ("referral-not-whole", "ServiceRequest/referral")},
        change("Task/coordination", focus={"reference": "ServiceRequest/other"}),
    ),
    "a state that there is not": (
        {
            ("referral-state", "Task/coordination"),
            ("referral-move", "Task/coordination"),
            ("rtt-events", "EpisodeOfCare/episode"),
        },
        change("Task/coordination", businessStatus=state("lost")),
    ),
    "a referral without an episode": (
        {("referral-not-whole", "ServiceRequest/referral")},
        drop("EpisodeOfCare/episode"),
    ),
    "two coordinating Tasks": (
        {
            ("referral-not-whole", "ServiceRequest/referral"),
        },
        add({**coordination("accepted", "completed"), "id": "twice"}),
    ),
    "a referral that says another state": (
        {("referral-mirror", "ServiceRequest/referral")},
        change("ServiceRequest/referral", extension=mirrored("waitlisted")),
    ),
    "a request ended while its referral goes on": (
        {("referral-status", "ServiceRequest/referral")},
        change("ServiceRequest/referral", status="revoked"),
    ),
    "a coordinating Task still requested": (
        {("referral-status", "Task/coordination")},
        change("Task/coordination", status="requested"),
    ),
    "an episode finished while its referral goes on": (
        {("referral-status", "EpisodeOfCare/episode")},
        change("EpisodeOfCare/episode", status="finished"),
    ),
    "a referral attended before it was booked": (
        {("referral-move", "Task/coordination"), ("referral-unexplained", "Task/coordination")},
        together(
            change("EpisodeOfCare/episode", extension=clock("20", None, ("2026-02-20", "attended", "20"))),
            follow("Task/coordination", businessStatus=state("attended")),
            change("ServiceRequest/referral", extension=mirrored("attended")),
        ),
    ),
    "a referral whose Task begins before it was sent": (
        {
            ("referral-begun", "Task/coordination"),
            ("referral-move", "Task/coordination"),
            ("rtt-events", "EpisodeOfCare/episode"),
        },
        lambda workflow: workflow["Task/coordination"][0].update(businessStatus=state("draft")),
    ),
    "a move that no Provenance tells of": (
        {("referral-unexplained", "Task/coordination")},
        drop("Provenance/why-3"),
    ),
    "an episode without a clock": (
        {("rtt-clock", "EpisodeOfCare/episode")},
        change("EpisodeOfCare/episode", extension=clock("20")[1:]),
    ),
    "a clock of an episode to which nothing happened": (
        {("rtt-clock", "EpisodeOfCare/episode"), ("rtt-events", "EpisodeOfCare/episode")},
        change("EpisodeOfCare/episode", extension=clock("20")[:1]),
    ),
    "a clock that stops although nothing stopped it": (
        {("rtt-clock", "EpisodeOfCare/episode")},
        change("EpisodeOfCare/episode", extension=clock("20", "2026-02-08")),
    ),
    "a clock that stops before it starts": (
        {("rtt-clock", "EpisodeOfCare/episode"), ("rtt-order", "EpisodeOfCare/episode")},
        change("EpisodeOfCare/episode", extension=clock("20", "2026-01-31")),
    ),
    "an event that was no move": (
        {("rtt-events", "EpisodeOfCare/episode")},
        change("EpisodeOfCare/episode", extension=clock("20", None, ("2026-02-03", "waitlisted", "20"))),
    ),
    "events out of order": (
        {("rtt-events", "EpisodeOfCare/episode")},
        together(
            follow("Task/coordination", businessStatus=state("waitlisted")),
            add(told(4)),
            change("ServiceRequest/referral", extension=mirrored("waitlisted")),
            change(
                "EpisodeOfCare/episode",
                status="waitlist",
                extension=clock("20", None, ("2026-01-31", "waitlisted", "20")),
            ),
        ),
    ),
    "a clock and a plan that go on after the referral was called off": (
        {("rtt-runs", "EpisodeOfCare/episode"), ("plan-of-ended-referral", "CarePlan/plan")},
        withdrawn(clock("20", None, ("2026-02-20", "withdrawn", "20"))),
    ),
    "a plan that goes on after the referral was called off": (
        {("plan-of-ended-referral", "CarePlan/plan")},
        withdrawn(clock("35", "2026-02-20", ("2026-02-20", "withdrawn", "35"))),
    ),
    "a fourth reminder": (
        {("reminded-too-often", "Task/answered")},
        add(reminder("r1", "2026-02-03T08:00:00+00:00")),
    ),
    "a reminder of what is done": (
        {("reminded-when-done", "Communication/r9")},
        change("Communication/r9", sent="2026-02-11T08:00:00+00:00"),
    ),
}

SOUND: dict[str, Break] = {
    "a referral brought in when it was in triage": lambda workflow: workflow["Task/coordination"].pop(0) and None,
    "as it is": together(),
    "a plan of the same pathway for the other side": add({**SAME_PLAN, "extension": [side("right")]}),
    "a second plan that is over": add({**SAME_PLAN, "status": "completed"}),
    "a Consent that is not in force": add({**CONSENT, "status": "inactive"}),
    "a Consent that permits after one that denied": together(
        add({**CONSENT, "dateTime": "2026-02-01T09:00:00Z"}),
        add({**CONSENT, "id": "in", "dateTime": "2026-02-02T09:00:00Z", "provision": {"type": "permit"}}),
    ),
    "a Consent that permits": add({**CONSENT, "provision": {"type": "permit"}}),
    "a step kept because its condition failed": change(
        "Task/seen", status="draft", statusReason=why("condition-failed")
    ),
    "a step of the staff's that is overdue": change(
        "Task/missed", status="requested", statusReason=None, owner={"reference": "Practitioner/x"}
    ),
    "a response that names no version": change("QuestionnaireResponse/answers", questionnaire=OKS.partition("|")[0]),
    "a score with a reason instead of a value": change(
        "Observation/score", valueQuantity=None, dataAbsentReason={"text": "too few answers"}
    ),
    "planned again because its event moved": together(
        change("Task/planned", status="requested", restriction=period("2026-02-20", "2026-03-06")),
        follow("Task/planned", status="draft", restriction=period("2026-03-03", "2026-03-17")),
    ),
    "done in its window before the job has opened it": follow(
        "Task/planned", **DONE, lastModified="2026-03-03T00:00:00+00:00"
    ),
    "a referral of somebody who died after it was sent on to another provider": together(
        change("Patient/p", deceasedDateTime="2026-02-20"),
        *(change(one, status="cancelled", statusReason=why("died")) for one in ("Task/seen", "Task/planned")),
        change("Appointment/class", status="cancelled", cancelationReason=why("died")),
        change("ServiceRequest/exercise", status="completed"),
        change("CarePlan/plan", status="revoked"),
        follow("Task/coordination", businessStatus=state("redirected")),
        add(told(4)),
        change("ServiceRequest/referral", status="revoked", extension=mirrored("redirected")),
        change(
            "EpisodeOfCare/episode",
            status="cancelled",
            extension=clock("21", None, ("2026-02-03", "redirected", "21")),
        ),
    ),
    "begun before its event moved to a later day": change(
        "Task/seen",
        status="in-progress",
        extension=[*timing(30, 0, 14), action("seen")],
        restriction=period("2026-03-03", "2026-03-17"),
    ),
    "a client's Task that has no state of ours": add(
        {**coordination("accepted", "requested"), "id": "other", "code": {"text": "Coordinate"}}
    ),
    "a response to a form that has no scores": together(
        drop("Observation/score"),
        change("QuestionnaireResponse/answers", questionnaire=f"{BASE}/Questionnaire/referral-form|1.0.0"),
        change("Task/answered", input=None),
    ),
    "missed and answered late": change("Task/missed", statusReason=why("answered-late")),
}
