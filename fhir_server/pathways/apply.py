"""From a pathway and a patient to a CarePlan and the resource of each step: a pure function.

R4 plandefinition-operation-apply.html, careplan.html, task.html, appointment.html. How this differs from R4's single
RequestGroup: docs/spec-clarifications/apply.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from fhir_server.errors import BusinessRule, Issue
from fhir_server.pathways.apply_dynamic import NoSuchPath, check_path
from fhir_server.pathways.apply_goals import goal_resource
from fhir_server.pathways.apply_steps import KINDS, Context, laterality, moment, refer, step_resource
from fhir_server.pathways.definition import Pathway, Step
from fhir_server.pathways.expressions import Verdict, no_expressions
from fhir_server.pathways.resolve import resolve
from fhir_server.pathways.supported import activity_issues, takes_priority
from fhir_server.pathways.timing import later

RECEIVED = "received"
"""The anchor that is today when it is not given."""

EARLIEST = date(1900, 1, 1)
"""A day before it is a slip of the pen: nobody alive was referred then."""


@dataclass(frozen=True, slots=True)
class AppliedPlan:
    """The CarePlan, and one resource per step in the order of the pathway."""

    pathway: Pathway
    care_plan: dict[str, Any]
    steps: list[dict[str, Any]]
    goals: list[dict[str, Any]]
    issues: list[Issue]
    """What somebody has to look at: steps whose expressions failed."""

    @property
    def resources(self) -> list[dict[str, Any]]:
        return [self.care_plan, *self.goals, *self.steps]


def apply_pathway(
    pathway: Pathway,
    activities: dict[str, dict[str, Any]],
    context: Context,
    judge: Callable[[Step], Verdict] = no_expressions,
) -> AppliedPlan:
    """Make the plan; `activities` are the ActivityDefinitions by canonical.

    Raises BusinessRule (422) naming every action whose ActivityDefinition is missing or of another kind, every
    element of one that is not carried out, and an anchor that the pathway does not have or whose date cannot be.
    """
    check_anchors(pathway, context.anchors, born=context.born, referred=context.referred)
    _check_activities(pathway, activities)
    plan_id = context.new_id()
    outcomes = resolve(pathway, context.anchors, judge)
    steps, issues = [], []
    for step in pathway.steps:
        outcome = outcomes[step.key]
        if outcome.dropped is None:
            resource, fault = step_resource(step, activities[step.activity], outcome, plan_id, context)
            steps.append(resource)
            if fault is not None:
                issues.append(condition_failed(step, resource, fault))
    goals = [goal_resource(goal, context) for goal in pathway.goals]
    return AppliedPlan(pathway, _care_plan(pathway, plan_id, steps, goals, context), steps, goals, issues)


def condition_failed(step: Step, resource: dict[str, Any], fault: str) -> Issue:
    """A step that is kept as planned because its expressions gave no answer."""
    name = f"{resource['resourceType']}/{resource['id']}"
    text = f"{name} ({step.title}) stays planned, as its expressions gave no answer. {fault}"
    return Issue("exception", text, step.expression, "warning")


def check_anchors(
    pathway: Pathway,
    anchors: Mapping[str, date],
    *,
    given: Mapping[str, date | None] | None = None,
    born: str | None,
    referred: date | None,
) -> None:
    """`given` are those of `anchors` that are new, and events that did not happen: all of `anchors`, unless said.

    Raises BusinessRule (422) for an event the pathway does not have, or a day on which it cannot have been.
    """
    for event, day in (anchors if given is None else given).items():
        fault = _fault_of_event(pathway, event)
        if fault is None and day is not None:
            fault = _fault_of_day(pathway, event, day, born, referred)
        if fault:
            raise BusinessRule(fault, expression=parameter(event))
    contradiction = pathway.order.contradiction(anchors)
    if contradiction:
        event, other, reason = contradiction
        issues = [Issue("business-rule", reason, parameter(name)) for name in (event, other)]
        raise BusinessRule(reason, issues=issues)


def parameter(event: str) -> str:
    """FHIRPath to the anchor of `event` among the parameters of an operation."""
    return f"Parameters.parameter.where(name='anchor' and part.value='{event}')"


def _fault_of_event(pathway: Pathway, event: str) -> str | None:
    if event in pathway.events:
        return None
    anchors = f"its anchors are {', '.join(pathway.events)}" if pathway.events else "none of its steps has an anchor"
    return f"No step of {pathway.canonical} is counted from {event}: {anchors}."


def _fault_of_day(pathway: Pathway, event: str, day: date, born: str | None, referred: date | None) -> str | None:
    """Why nothing can have happened to the patient on `day`, or be counted from it."""
    if day < EARLIEST:
        return f"{event} ({day}) lies before {EARLIEST}."
    if born and day.isoformat()[: len(born)] < born:
        return f"{event} ({day}) lies before the patient was born ({born})."
    if referred is not None and day < referred:
        return f"{event} ({day}) lies before the referral ({referred})."
    for step in pathway.steps:
        if step.anchor and step.anchor.event == event:
            due = later(day, step.anchor.offset, step.delay)
            if due is None or step.around.window(due) is None:
                return f"{step.expression}, counted from {event} ({day}), would fall outside the years 1 to 9999."
    return None


def _check_activities(pathway: Pathway, activities: dict[str, dict[str, Any]]) -> None:
    issues: list[Issue] = []
    for step in pathway.steps:
        expression = f"{step.expression}.definitionCanonical"
        activity = activities.get(step.activity)
        if activity is None:
            issues.append(Issue("not-found", _missing(step.activity), expression))
        elif activity.get("status") != "active":
            text = f"{step.activity} is {activity.get('status')}: only an active one can be used."
            issues.append(Issue("business-rule", text, expression))
        elif activity.get("kind") not in KINDS:
            allowed = ", ".join(KINDS)
            issues.append(
                Issue("not-supported", f"{step.activity} is not of a kind that can be a step ({allowed}).", expression)
            )
        elif faults := list(_unfit_paths(step, activity["kind"])):
            issues += faults
        elif step.priority and not takes_priority(activity["kind"]):
            text = "An appointment has no priority of this kind: leave it out."
            issues.append(Issue("not-supported", text, f"{step.expression}.priority"))
    for canonical in dict.fromkeys(step.activity for step in pathway.steps):
        if activities.get(canonical, {}).get("kind") in KINDS:
            issues += activity_issues(activities[canonical], canonical)
    if issues:
        raise BusinessRule("The plan cannot be applied as it stands.", issues=issues)


def _unfit_paths(step: Step, kind: str) -> Iterator[Issue]:
    for index, value in enumerate(step.dynamic_values):
        try:
            check_path(kind, value.path)
        except NoSuchPath as error:
            yield Issue("value", f"{error}.", f"{step.expression}.dynamicValue[{index}].path")


def _missing(canonical: str) -> str:
    if "|" not in canonical:
        return f"{canonical} needs the version of the ActivityDefinition: [url]|[version]."
    return f"There is no ActivityDefinition {canonical}: store it."


def _care_plan(
    pathway: Pathway,
    plan_id: str,
    steps: list[dict[str, Any]],
    goals: list[dict[str, Any]],
    context: Context,
) -> dict[str, Any]:
    plan: dict[str, Any] = {
        "resourceType": "CarePlan",
        "id": plan_id,
        "extension": [anchor_date(event, day, context.canonical_base) for event, day in context.anchors.items()],
        "instantiatesCanonical": [pathway.canonical],
        "status": "active",
        "intent": "plan",
        "title": pathway.title,
        "subject": {"reference": context.subject},
    }
    if context.laterality:
        plan["extension"].append(laterality(context))
    if not plan["extension"]:
        del plan["extension"]
    refer(plan, "encounter", context.encounter)
    plan["period"] = {"start": min(context.anchors.values(), default=context.today).isoformat()}
    plan["created"] = moment(context)
    refer(plan, "author", context.requester)
    if context.referral:
        plan["supportingInfo"] = [{"reference": context.referral}]
    if goals:
        plan["goal"] = [{"reference": f"Goal/{goal['id']}"} for goal in goals]
    return with_activities(plan, steps) if steps else plan


def with_activities(care_plan: dict[str, Any], steps: list[dict[str, Any]]) -> dict[str, Any]:
    """The plan with these steps after those it has."""
    added = [{"reference": {"reference": f"{step['resourceType']}/{step['id']}"}} for step in steps]
    return {**care_plan, "activity": [*care_plan.get("activity", ()), *added]}


def with_anchors(care_plan: dict[str, Any], anchors: dict[str, date], canonical_base: str) -> dict[str, Any]:
    """The plan with these days of its events instead of those it has."""
    url = f"{canonical_base}/StructureDefinition/msk-anchor-date"
    others = [extension for extension in care_plan.get("extension", ()) if extension["url"] != url]
    extensions = [*(anchor_date(event, day, canonical_base) for event, day in anchors.items()), *others]
    plan = {key: value for key, value in care_plan.items() if key != "extension"}
    if anchors:
        plan["period"] = {**plan.get("period", {}), "start": min(anchors.values()).isoformat()}
    return {**plan, "extension": extensions} if extensions else plan


def anchor_date(event: str, day: date, canonical_base: str) -> dict[str, Any]:
    return {
        "url": f"{canonical_base}/StructureDefinition/msk-anchor-date",
        "extension": [{"url": "event", "valueCode": event}, {"url": "date", "valueDate": day.isoformat()}],
    }
