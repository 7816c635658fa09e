"""A PlanDefinition as a list of steps: its groups flattened, its repeats expanded.

R4 plandefinition.html. What each element means here: docs/spec-clarifications/apply.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fhir_server.errors import BusinessRule, Issue
from fhir_server.pathways.order import AnchorOrder, read_order
from fhir_server.pathways.supported import action_issues, plan_issues
from fhir_server.pathways.timing import Anchor, Around, Delay, Follow, read_anchor, read_around


@dataclass(frozen=True, slots=True)
class Step:
    """One action that has an ActivityDefinition, or one time of it that repeats."""

    key: str
    """The action's id, with `#n` for the n-th of a repeat: what the step's resource is known by (msk-step-action)."""
    title: str
    activity: str
    """Canonical (url|version) of its ActivityDefinition."""
    anchor: Anchor | None
    follows: tuple[Follow, ...]
    delay: Delay
    around: Around
    within: tuple[str, ...]
    """Ids of the actions it stands in, its own last."""
    extensions: list[dict[str, Any]]
    """What the step's resource keeps of the action: anchor, window, time-point."""
    priority: str | None
    expression: str
    """FHIRPath to the action."""

    @property
    def is_dated(self) -> bool:
        """Whether it waits for something before it is due."""
        return self.anchor is not None or bool(self.follows)


@dataclass(frozen=True, slots=True)
class Pathway:
    canonical: str
    title: str
    steps: tuple[Step, ...]
    order: AnchorOrder

    @property
    def events(self) -> list[str]:
        """The anchors its steps are counted from, in order."""
        return list(dict.fromkeys(step.anchor.event for step in self.steps if step.anchor))

    def members(self, action: str) -> list[Step]:
        """The steps of the action with this id: itself, its repeats, or all in the group."""
        return [step for step in self.steps if action in step.within]

    @property
    def url(self) -> str:
        return self.canonical.partition("|")[0]


def read_pathway(plan: dict[str, Any], canonical_base: str) -> Pathway:
    """The steps of a stored PlanDefinition.

    Raises BusinessRule (422) for a plan without url and version, for every element that is not carried out, and for
    actions without an ActivityDefinition.
    """
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


def check_active(plan: dict[str, Any]) -> None:
    """Raises BusinessRule (422): no new CarePlan is made of a definition that is not active."""
    if plan.get("status") != "active":
        raise BusinessRule(
            f"The plan is {plan.get('status')}: only an active one can be applied.", expression="PlanDefinition.status"
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
    anchor = read_anchor(extensions.get(f"{base}/msk-step-anchor"), expression)
    around = read_around(extensions.get(f"{base}/msk-window"), expression)
    if anchor is None and f"{base}/msk-window" in extensions:
        raise BusinessRule(
            "A window needs a day to lie around: give the action an msk-step-anchor.",
            expression=f"{expression}.extension",
        )
    key = action.get("id") or expression.removeprefix("PlanDefinition.")
    return Step(
        key=key,
        title=action.get("title", activity),
        activity=activity,
        anchor=anchor,
        follows=(),
        delay=Delay(),
        around=around,
        within=(key,),
        extensions=kept,
        priority=action.get("priority"),
        expression=expression,
    )
