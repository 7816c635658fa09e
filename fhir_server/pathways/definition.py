"""A PlanDefinition as a list of dated steps.

R4 plandefinition.html. The timing of a step is in two extensions of ours on the action: the anchor it is counted
from (msk-step-anchor) and how far around its nominal date it may be done (msk-window).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from fhir_server.errors import BusinessRule, Issue
from fhir_server.pathways.order import AnchorOrder, read_order
from fhir_server.pathways.supported import action_issues, plan_issues


@dataclass(frozen=True, slots=True)
class Window:
    """The days on which a step may be done, both included."""

    start: date
    end: date


@dataclass(frozen=True, slots=True)
class Timing:
    """`offset` days from an anchor event, give or take."""

    event: str
    offset: int
    before: int
    after: int

    def window(self, anchor: date) -> Window | None:
        """None when it leaves the calendar: the years 1 to 9999."""
        try:
            nominal = anchor + timedelta(self.offset)
            return Window(nominal - timedelta(self.before), nominal + timedelta(self.after))
        except OverflowError:
            return None


@dataclass(frozen=True, slots=True)
class Step:
    """One action of the pathway."""

    title: str
    activity: str
    """Canonical (url|version) of its ActivityDefinition."""
    timing: Timing | None
    """None: a step that is not dated."""
    extensions: list[dict[str, Any]]
    """What the step's resource keeps of the action: anchor, window, time-point."""
    priority: str | None
    expression: str
    """FHIRPath to the action."""


@dataclass(frozen=True, slots=True)
class Pathway:
    canonical: str
    title: str
    steps: tuple[Step, ...]
    order: AnchorOrder

    @property
    def events(self) -> list[str]:
        """The anchors its steps are counted from, in order."""
        return list(dict.fromkeys(step.timing.event for step in self.steps if step.timing))


def read_pathway(plan: dict[str, Any], canonical_base: str) -> Pathway:
    """The steps of a stored PlanDefinition.

    Raises BusinessRule (422) for a plan that is not active, for every element that is not carried out, and for
    actions without an ActivityDefinition.
    """
    if plan.get("status") != "active":
        raise BusinessRule(
            f"The plan is {plan.get('status')}: only an active one can be applied.", expression="PlanDefinition.status"
        )
    if "url" not in plan or "version" not in plan:
        raise BusinessRule(
            "The plan needs a url and a version, so that the CarePlan can say what it was made from.",
            expression="PlanDefinition.url",
        )
    actions = {f"PlanDefinition.action[{index}]": action for index, action in enumerate(plan.get("action", []))}
    _refuse_unsupported(plan, actions)
    steps = tuple(_step(action, expression, canonical_base) for expression, action in actions.items())
    if not steps:
        raise BusinessRule("The plan has no actions: there is nothing to apply.", expression="PlanDefinition.action")
    return Pathway(
        f"{plan['url']}|{plan['version']}", plan.get("title", plan["url"]), steps, read_order(plan, canonical_base)
    )


def _refuse_unsupported(plan: dict[str, Any], actions: dict[str, dict[str, Any]]) -> None:
    issues: list[Issue] = plan_issues(plan)
    for expression, action in actions.items():
        issues += action_issues(action, expression)
    if issues:
        raise BusinessRule("The plan has parts that are not carried out.", issues=issues)


def _step(action: dict[str, Any], expression: str, canonical_base: str) -> Step:
    activity = action.get("definitionCanonical")
    if activity is None:
        raise BusinessRule(
            "Every action needs the canonical of an ActivityDefinition.",
            code="required",
            expression=f"{expression}.definitionCanonical",
        )
    extensions = {extension["url"]: extension for extension in action.get("extension", [])}
    base = f"{canonical_base}/StructureDefinition"
    kept = [
        extensions[f"{base}/{name}"]
        for name in ("msk-step-anchor", "msk-window", "msk-timepoint")
        if f"{base}/{name}" in extensions
    ]
    timing = _timing(extensions.get(f"{base}/msk-step-anchor"), extensions.get(f"{base}/msk-window"), expression)
    return Step(action.get("title", activity), activity, timing, kept, action.get("priority"), expression)


def _timing(anchor: dict[str, Any] | None, window: dict[str, Any] | None, expression: str) -> Timing | None:
    if anchor is None and window is None:
        return None
    parts = _parts(anchor) if anchor else {}
    around = _parts(window) if window else {}
    try:
        return Timing(
            event=parts["event"]["valueCode"],
            offset=_days(parts["offset"]),
            before=_days(around["before"]) if around else 0,
            after=_days(around["after"]) if around else 0,
        )
    except (KeyError, ValueError) as error:
        raise BusinessRule(
            "The timing of the step cannot be read: msk-step-anchor needs event and offset, msk-window before and "
            "after, in whole days (UCUM d).",
            expression=f"{expression}.extension",
        ) from error


def _parts(extension: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {part["url"]: part for part in extension.get("extension", [])}


def _days(part: dict[str, Any]) -> int:
    duration = part["valueDuration"]
    if duration["code"] != "d" or duration["value"] != int(duration["value"]):
        raise ValueError("not a whole number of days")
    return int(duration["value"])
