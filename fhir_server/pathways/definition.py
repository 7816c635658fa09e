"""A pathway: a PlanDefinition as a list of steps, its groups flattened, its repeats expanded."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fhir_server.pathways.order import AnchorOrder
from fhir_server.pathways.timing import AT_ONCE, ON_THE_DAY, Anchor, Around, Delay, Follow


@dataclass(frozen=True, slots=True)
class Expression:
    """FHIRPath of a definition."""

    source: str
    place: str
    """FHIRPath to where it stands in the PlanDefinition."""


@dataclass(frozen=True, slots=True)
class DynamicValue:
    """What an element of the step's resource is given (R4 PlanDefinition.action.dynamicValue)."""

    path: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Step:
    """One action that has an ActivityDefinition, or one time of it that repeats."""

    key: str
    """The action's id, with `#n` for the n-th of a repeat: what the step's resource is known by (msk-step-action)."""
    title: str
    activity: str
    """Canonical (url|version) of its ActivityDefinition."""
    expression: str
    """FHIRPath to the action."""
    anchor: Anchor | None = None
    follows: tuple[Follow, ...] = ()
    delay: Delay = AT_ONCE
    around: Around = ON_THE_DAY
    conditions: tuple[Expression, ...] = ()
    """Its own and those of its groups: all must hold."""
    dynamic_values: tuple[DynamicValue, ...] = ()
    within: tuple[str, ...] = ()
    """Ids of the actions it stands in, its own last."""
    extensions: list[dict[str, Any]] = field(default_factory=list)
    """What the step's resource keeps of the action: anchor, window, time-point."""
    priority: str | None = None

    @property
    def is_dated(self) -> bool:
        """Whether it waits for something before it is due."""
        return self.anchor is not None or bool(self.follows)

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return (*self.conditions, *(value.expression for value in self.dynamic_values))


@dataclass(frozen=True)
class Pathway:
    canonical: str
    title: str
    steps: tuple[Step, ...]
    order: AnchorOrder
    goals: tuple[dict[str, Any], ...] = ()
    """R4 PlanDefinition.goal."""
    groups: dict[str, str] = field(default_factory=dict)
    """Titles of the actions that have actions, by id."""
    one_sided: bool = False
    """A plan of it is of one side of the body (msk-one-side)."""

    @cached_property
    def events(self) -> list[str]:
        """The anchors its steps are counted from, in order."""
        return list(dict.fromkeys(step.anchor.event for step in self.steps if step.anchor))

    @cached_property
    def expressions(self) -> list[Expression]:
        return [expression for step in self.steps for expression in step.expressions]

    @cached_property
    def _members(self) -> dict[str, list[Step]]:
        members: dict[str, list[Step]] = {}
        for step in self.steps:
            for action in step.within:
                members.setdefault(action, []).append(step)
        return members

    def members(self, action: str) -> list[Step]:
        """The steps of the action with this id: itself, its repeats, or all in the group."""
        return self._members.get(action, [])

    @property
    def url(self) -> str:
        return self.canonical.partition("|")[0]
