"""From a PlanDefinition, and those it uses, to a Pathway.

R4 plandefinition.html. What each element means here: docs/spec-clarifications/apply.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhir_server.errors import BusinessRule, Issue
from fhir_server.pathways.definition import DynamicValue, Expression, Pathway, Step
from fhir_server.pathways.order import read_order
from fhir_server.pathways.supported import action_issues, plan_issues
from fhir_server.pathways.timing import (
    ON_THE_DAY,
    Anchor,
    Around,
    Follow,
    days,
    read_anchor,
    read_around,
    read_repeat,
)

Json = dict[str, Any]

MOST_STEPS = 500
"""Of one plan, repeats and all: a definition with more is a mistake."""

MOST_FOLLOWS = 100
"""Actions that follow one another: each is resolved by way of the one before."""


def check_active(plan: Json) -> None:
    """Raises BusinessRule (422): no new CarePlan is made of a definition that is not active."""
    if plan.get("status") != "active":
        raise BusinessRule(
            f"The plan is {plan.get('status')}: only an active one can be applied.", expression="PlanDefinition.status"
        )


def is_plan(canonical: str) -> bool:
    """Whether it names a PlanDefinition, by the shape R4 gives canonical urls ([base]/[type]/[id])."""
    return canonical.partition("|")[0].rpartition("/")[0].endswith("/PlanDefinition")


def nested_plans(plan: Json) -> Iterator[tuple[str, str]]:
    """(canonical, where it stands) of the PlanDefinitions that the actions of `plan` use, at whatever depth."""
    for place, action in _actions(plan.get("action", []), "PlanDefinition"):
        canonical = action.get("definitionCanonical")
        if isinstance(canonical, str) and is_plan(canonical):
            yield canonical, f"{place}.definitionCanonical"


def read_pathway(plan: Json, canonical_base: str, plans: Mapping[str, Json] | None = None) -> Pathway:
    """The steps of a stored PlanDefinition; `plans` are those that its actions use, by canonical.

    Raises BusinessRule (422) for a plan without url and version, for every element that is not carried out, for
    actions without a definition, and for steps that wait for each other.
    """
    if "url" not in plan or "version" not in plan:
        raise BusinessRule(
            "The plan needs a url and a version, so that the CarePlan can say what it was made from.",
            expression="PlanDefinition.url",
        )
    reading = _Reading(canonical_base, plans or {})
    canonical = f"{plan['url']}|{plan['version']}"
    steps = tuple(reading.plan(plan, _Inherited(), (canonical,)))
    if reading.issues:
        raise BusinessRule("The plan has parts that are not carried out.", issues=reading.issues)
    if not steps:
        raise BusinessRule("The plan has no actions: there is nothing to apply.", expression="PlanDefinition.action")
    if len(steps) > MOST_STEPS:
        raise BusinessRule(
            f"The plan has {len(steps)} steps, and {MOST_STEPS} are the most.",
            code="too-costly",
            expression="PlanDefinition.action",
        )
    order = read_order(reading.order, canonical_base)
    pathway = Pathway(
        canonical,
        str(plan.get("title", plan["url"])),
        steps,
        order,
        tuple(reading.goals),
        reading.groups,
        _is_one_sided(plan, canonical_base),
    )
    _check_keys(pathway)
    _check_follows(pathway)
    return pathway


def _is_one_sided(plan: Json, canonical_base: str) -> bool:
    url = f"{canonical_base}/StructureDefinition/msk-one-side"
    return any(one["url"] == url and one.get("valueBoolean") is True for one in plan.get("extension", ()))


def _actions(actions: Any, parent: str) -> Iterator[tuple[str, Json]]:
    for index, action in enumerate(actions):
        place = f"{parent}.action[{index}]"
        yield place, action
        yield from _actions(action.get("action", []), place)


@dataclass(frozen=True, slots=True)
class _Inherited:
    """What an action has of the actions it stands in."""

    prefix: str = ""
    """Before the ids of the actions of a PlanDefinition that an action uses."""
    within: tuple[str, ...] = ()
    anchor: Anchor | None = None
    around: Around = ON_THE_DAY
    kept: tuple[Json, ...] = ()
    follows: tuple[Follow, ...] = ()
    conditions: tuple[Expression, ...] = ()
    priority: str | None = None


class _Reading:
    """One PlanDefinition being read, with those it uses."""

    def __init__(self, canonical_base: str, plans: Mapping[str, Json]) -> None:
        self._base = f"{canonical_base}/StructureDefinition"
        self._plans = plans
        self.issues: list[Issue] = []
        self.goals: list[Json] = []
        self.groups: dict[str, str] = {}
        self.order: Json = {"extension": []}

    def plan(self, plan: Json, inherited: _Inherited, path: tuple[str, ...]) -> Iterator[Step]:
        self.issues += plan_issues(plan)
        self.goals += plan.get("goal", [])
        for extension in plan.get("extension", []):
            if extension not in self.order["extension"]:
                self.order["extension"].append(extension)
        for index, action in enumerate(plan.get("action", [])):
            yield from self._action(action, f"PlanDefinition.action[{index}]", inherited, path)

    def _action(self, action: Json, place: str, above: _Inherited, path: tuple[str, ...]) -> Iterator[Step]:
        found = action_issues(action, place)
        self.issues += found
        if found:
            return
        own = self._own(action, place, above)
        definition = action.get("definitionCanonical")
        if "action" in action:
            self.groups[own.within[-1]] = action.get("title", own.within[-1])
            for index, child in enumerate(action["action"]):
                yield from self._action(child, f"{place}.action[{index}]", own, path)
        elif definition is None:
            raise BusinessRule(
                "Every action needs the canonical of an ActivityDefinition.",
                code="required",
                expression=f"{place}.definitionCanonical",
            )
        elif is_plan(definition):
            yield from self._nested(definition, action, place, own, path)
        else:
            yield from self._steps(action, definition, place, own)

    def _own(self, action: Json, place: str, above: _Inherited) -> _Inherited:
        """What the action has, of its own or of those it stands in."""
        extensions = {extension["url"]: extension for extension in action.get("extension", [])}
        names = ("msk-step-anchor", "msk-window", "msk-timepoint")
        kept = {extension["url"]: extension for extension in above.kept}
        kept |= {url: extensions[url] for url in (f"{self._base}/{name}" for name in names) if url in extensions}
        anchor = read_anchor(extensions.get(f"{self._base}/msk-step-anchor"), place) or above.anchor
        window = extensions.get(f"{self._base}/msk-window")
        follows = (*above.follows, *self._follows(action, place, above.prefix))
        if window is not None and anchor is None and not follows:
            raise BusinessRule(
                "A window needs a day to lie around: give the action an msk-step-anchor or a relatedAction.",
                expression=f"{place}.extension",
            )
        return replace(
            above,
            within=(*above.within, above.prefix + (action.get("id") or place.removeprefix("PlanDefinition."))),
            anchor=anchor,
            around=read_around(window, place) if window is not None else above.around,
            kept=tuple(kept[url] for url in (f"{self._base}/{name}" for name in names) if url in kept),
            follows=follows,
            conditions=(*above.conditions, *_conditions(action, place)),
            priority=action.get("priority") or above.priority,
        )

    def _follows(self, action: Json, place: str, prefix: str) -> Iterator[Follow]:
        for index, related in enumerate(action.get("relatedAction", [])):
            try:
                offset = days(related["offsetDuration"]) if "offsetDuration" in related else 0
            except (KeyError, ValueError) as error:
                raise BusinessRule(
                    "The offset of a relatedAction is in whole days (UCUM d).",
                    expression=f"{place}.relatedAction[{index}].offset",
                ) from error
            yield Follow(
                prefix + related["actionId"],
                related["relationship"] == "after-start",
                offset,
                f"{place}.relatedAction[{index}].actionId",
            )

    def _nested(
        self, canonical: str, action: Json, place: str, own: _Inherited, path: tuple[str, ...]
    ) -> Iterator[Step]:
        expression = f"{place}.definitionCanonical"
        if canonical in path:
            raise BusinessRule(
                f"The plan uses itself: {' uses '.join((*path, canonical))}. Take one of these uses out.",
                expression=expression,
            )
        plan = self._plans.get(canonical)
        if plan is None:
            raise BusinessRule(
                f"There is no active PlanDefinition {canonical}: store it, and name it as [url]|[version].",
                code="not-found",
                expression=expression,
            )
        self.groups[own.within[-1]] = action.get("title", own.within[-1])
        yield from self.plan(plan, replace(own, prefix=f"{own.within[-1]}."), (*path, canonical))

    def _steps(self, action: Json, activity: str, place: str, own: _Inherited) -> Iterator[Step]:
        key = own.within[-1]
        step = Step(
            key=key,
            title=action.get("title", activity),
            activity=activity,
            expression=place,
            anchor=own.anchor,
            follows=own.follows,
            around=own.around,
            conditions=own.conditions,
            dynamic_values=tuple(_dynamic_values(action, place)),
            within=own.within,
            extensions=list(own.kept),
            priority=own.priority,
        )
        if "timingTiming" not in action:
            yield step
            return
        for number, delay in enumerate(read_repeat(action["timingTiming"], place, MOST_STEPS), 1):
            yield replace(step, key=f"{key}#{number}", title=f"{step.title} ({number})", delay=delay)


def _conditions(action: Json, place: str) -> Iterator[Expression]:
    for index, condition in enumerate(action.get("condition", [])):
        yield Expression(condition["expression"]["expression"], f"{place}.condition[{index}].expression")


def _dynamic_values(action: Json, place: str) -> Iterator[DynamicValue]:
    for index, value in enumerate(action.get("dynamicValue", [])):
        where = f"{place}.dynamicValue[{index}]"
        yield DynamicValue(value["path"], Expression(value["expression"]["expression"], f"{where}.expression"))


def _check_keys(pathway: Pathway) -> None:
    seen: set[str] = set()
    for step in pathway.steps:
        if step.key in seen or step.key in pathway.groups:
            raise BusinessRule(
                f"Two actions have the id {step.key}: each needs its own.", expression=f"{step.expression}.id"
            )
        seen.add(step.key)


def _check_follows(pathway: Pathway) -> None:
    """Every action that another follows is there, and none follows itself, by whatever way."""
    state: dict[str, bool] = {}
    for step in pathway.steps:
        if step.key not in state:
            _visit(pathway, step, state)


def _visit(pathway: Pathway, step: Step, state: dict[str, bool], level: int = 0) -> None:
    """`state`: False while the steps that a step follows are looked at, True afterwards."""
    state[step.key] = False
    if level > MOST_FOLLOWS:
        raise BusinessRule(
            f"More than {MOST_FOLLOWS} actions follow one another.", code="too-costly", expression=step.expression
        )
    for follow in step.follows:
        members = pathway.members(follow.action)
        if not members:
            raise BusinessRule(
                f"There is no step {follow.action} to follow.", code="not-found", expression=follow.place
            )
        for member in members:
            if state.get(member.key) is False:
                raise BusinessRule(
                    f"{step.key} and {member.key} wait for each other: take one of the relatedActions out.",
                    expression=follow.place,
                )
            if member.key not in state:
                _visit(pathway, member, state, level + 1)
    state[step.key] = True
