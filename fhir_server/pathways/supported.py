"""Which elements of a definition are carried out or only describe it; every other one is refused, by name.

R4 plandefinition.html, activitydefinition.html. Extensions that are not ours are ignored, as R4 extensibility.html
allows; modifier extensions and implicit rules are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fhir_server import spec
from fhir_server.errors import Issue
from fhir_server.pathways.apply_dynamic import is_settable

COLLECT_WITH = "http://hl7.org/fhir/uv/cpg/StructureDefinition/cpg-collectWith"
"""Clinical Practice Guidelines: the Questionnaire an ActivityDefinition collects information with."""

# fmt: off
_DESCRIPTIVE = {
    "resourceType", "id", "meta", "language", "text", "contained", "extension", "url", "identifier", "version",
    "name", "title", "subtitle", "status", "experimental", "date", "publisher", "contact", "description",
    "useContext", "jurisdiction", "purpose", "usage", "copyright", "approvalDate", "lastReviewDate",
    "effectivePeriod", "topic", "author", "editor", "reviewer", "endorser", "relatedArtifact",
}
_BEHAVIORS = {
    "groupingBehavior": {"visual-group", "logical-group"}, "selectionBehavior": {"any", "all"},
    "requiredBehavior": {"must"}, "cardinalityBehavior": {"single"},
}
_PLAN = _DESCRIPTIVE | {"type", "subjectCodeableConcept", "goal", "action"}
_ACTION = {
    "id", "extension", "prefix", "title", "description", "textEquivalent", "code", "priority", "trigger", "goalId",
    "documentation", "condition", "relatedAction",
}
_STEP = _ACTION | {
    "type", "subjectCodeableConcept", "definitionCanonical", "timingTiming", "dynamicValue",
}
_GROUP = _ACTION | {"action", *_BEHAVIORS}
_ACTIVITY = _DESCRIPTIVE | {
    "subjectCodeableConcept", "kind", "code", "intent", "priority", "doNotPerform", "participant",
}
# fmt: on

_CREATE = {"system": "http://terminology.hl7.org/CodeSystem/action-type", "code": "create"}
_PATIENT = {"system": "http://hl7.org/fhir/resource-types", "code": "Patient"}


def plan_issues(plan: dict[str, Any]) -> list[Issue]:
    """What of the plan itself is not carried out; its actions are looked at one by one."""
    return [_issue("The plan", f"PlanDefinition.{name}") for name in _unsupported(plan, "PlanDefinition", _PLAN)]


def action_issues(action: dict[str, Any], expression: str) -> list[Issue]:
    """What of the action at `expression` is not carried out."""
    is_group = "action" in action
    names = list(_unsupported(action, "PlanDefinition.action", _GROUP if is_group else _STEP))
    if "type" in action and not is_group and not _has(action["type"], _CREATE):
        names.append("type")
    names += [name for name, values in _BEHAVIORS.items() if is_group and action.get(name, "") not in {"", *values}]
    names += [name for name, check in _CHECKS.items() if not all(map(check, action.get(name, ())))]
    return [_issue("The action", f"{expression}.{name}") for name in names]


def _is_condition(condition: dict[str, Any]) -> bool:
    return condition.get("kind") == "applicability" and _is_fhirpath(condition)


def _is_dynamic_value(value: dict[str, Any]) -> bool:
    return isinstance(value.get("path"), str) and is_settable(value["path"]) and _is_fhirpath(value)


def _is_fhirpath(holder: dict[str, Any]) -> bool:
    """R4 metadatatypes.html#Expression: the text itself, in the one language that is evaluated here."""
    expression = holder.get("expression", {})
    return expression.get("language") == "text/fhirpath" and isinstance(expression.get("expression"), str)


def _is_related(related: dict[str, Any]) -> bool:
    return related.get("relationship") in ("after", "after-end", "after-start") and "offsetRange" not in related


_CHECKS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "condition": _is_condition,
    "dynamicValue": _is_dynamic_value,
    "relatedAction": _is_related,
}
"""Of elements that are carried out in one form: whether each has it."""


def activity_issues(activity: dict[str, Any], canonical: str) -> list[Issue]:
    """What of the activity cannot be carried out in a resource of its kind."""
    names = [*_unsupported(activity, "ActivityDefinition", _ACTIVITY), *_unfit(activity)]
    return [_issue(canonical, f"ActivityDefinition.{name}") for name in names]


def takes_priority(kind: str) -> bool:
    """R4 appointment.html: Appointment.priority is a number of iCalendar, not a code of request-priority."""
    return kind != "Appointment"


def _unfit(activity: dict[str, Any]) -> Iterator[str]:
    """Elements that the resource of the activity's kind cannot hold with this value."""
    kind = activity["kind"]
    if "priority" in activity and not takes_priority(kind):
        yield "priority"
    if activity.get("intent", "plan") not in _intents(kind):
        yield "intent"
    if activity.get("doNotPerform") and kind != "ServiceRequest":
        yield "doNotPerform"
    if "participant" in activity and activity["participant"] not in ([{"type": "patient"}], [{"type": "practitioner"}]):
        yield "participant"
    if kind != "Task" and any(extension["url"] == COLLECT_WITH for extension in activity.get("extension", [])):
        yield "extension"


def _intents(kind: str) -> set[str]:
    """A proposed Appointment has no intent: it can carry out a proposal or a plan, but not an order."""
    if kind == "Appointment":
        return {"proposal", "plan"}
    name = "task-intent" if kind == "Task" else "request-intent"
    listed = spec.codes(f"http://hl7.org/fhir/ValueSet/{name}") or {}
    return {code for codes in listed.values() for code in codes}


def _unsupported(value: dict[str, Any], path: str, supported: set[str]) -> Iterator[str]:
    """Names, as FHIRPath has them, of the elements of `value` that are not carried out."""
    for key in dict.fromkeys(key.removeprefix("_") for key in value):
        if key not in supported or (key == "subjectCodeableConcept" and not _has(value.get(key), _PATIENT)):
            yield _fhirpath(path, key)


def _has(concept: dict[str, Any] | None, coding: dict[str, str]) -> bool:
    return any(coding.items() <= given.items() for given in (concept or {}).get("coding", []))


def _fhirpath(path: str, key: str) -> str:
    """`timingDuration` is `timing` in FHIRPath (R4 fhirpath.html#polymorphism)."""
    for name in spec.structure(path.partition(".")[0]).children[path]:
        base = name.removesuffix("[x]")
        if base != name and key.startswith(base) and key[len(base) : len(base) + 1].isupper():
            return base
    return key


def _issue(whose: str, expression: str) -> Issue:
    name = expression.rpartition(".")[2]
    return Issue(
        "not-supported",
        f"{whose} has {name}, which this server does not carry out in this form; leaving it out would change the plan.",
        expression,
    )
