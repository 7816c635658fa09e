"""What each step of a pathway comes to, by the events there have been and what became of the other steps.

A pure function, the same when a pathway is applied, when an event moves and when a step is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from fhir_server.pathways.definition import Pathway, Step
from fhir_server.pathways.expressions import Verdict
from fhir_server.pathways.timing import Follow, Window, later

NOT_APPLICABLE = "not-applicable"
OTHER_BRANCH = "other-branch"
CONDITION_FAILED = "condition-failed"
"""Codes of CodeSystem msk-step-reason."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known of a step that was made."""

    over: bool = False
    """Done, missed, declined or stood down: nothing moves it any more."""
    done_on: date | None = None
    gone: bool = False
    """Stood down, or never made: as if it were not part of the plan."""
    decided: bool = False
    """Its expressions were evaluated when it got its dates, and are not asked again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step comes to."""

    due: date | None = None
    """The day it is counted to; None while that is not known, or when it waits for nothing."""
    window: Window | None = None
    dropped: str | None = None
    """Why it is not (any more) a step of this patient: a code of msk-step-reason."""
    values: tuple[tuple[str, list[Any]], ...] = ()
    """Dynamic values, now that it is decided."""
    fault: str | None = None
    """Why its expressions gave no answer; it stays planned, and is tried again each time."""


GONE = Progress(over=True, gone=True)
_NEW = Progress()


@dataclass(slots=True)
class _Resolving:
    pathway: Pathway
    anchors: Mapping[str, date]
    judge: Callable[[Step], Verdict]
    progress: Mapping[str, Progress]
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def outcome(self, step: Step) -> Outcome:
        found = self.outcomes.get(step.key)
        if found is None:
            found = self.outcomes[step.key] = self._outcome(step)
        return found

    def _outcome(self, step: Step) -> Outcome:
        starts: list[date | None] = []
        if step.anchor is not None:
            event = step.anchor.event
            if event not in self.anchors and self.pathway.order.excluded(event, self.anchors):
                return Outcome(dropped=OTHER_BRANCH)
            starts.append(_counted(self.anchors.get(event), step.anchor.offset, step))
        for follow in step.follows:
            if all(self._gone(member) for member in self.pathway.members(follow.action)):
                return Outcome(dropped=NOT_APPLICABLE)
            starts.append(_counted(self._day(follow), follow.offset, step))
        known = [start for start in starts if start is not None]
        if len(known) < len(starts):
            return Outcome()
        due = max(known, default=None)
        return self._decided(step, due, None if due is None else step.around.window(due))

    def _decided(self, step: Step, due: date | None, window: Window | None) -> Outcome:
        progress = self.progress.get(step.key, _NEW)
        if progress.over or progress.decided or not step.expressions:
            return Outcome(due, window)
        verdict = self.judge(step)
        if verdict.fault is not None:
            return Outcome(fault=verdict.fault)
        if not verdict.applies:
            return Outcome(dropped=NOT_APPLICABLE)
        return Outcome(due, window, values=verdict.values)

    def _gone(self, step: Step) -> bool:
        progress = self.progress.get(step.key, _NEW)
        return progress.gone or (not progress.over and self.outcome(step).dropped is not None)

    def _day(self, follow: Follow) -> date | None:
        """The day the action was due, or ended: when all of its steps are over, the last one was done."""
        members = [step for step in self.pathway.members(follow.action) if not self._gone(step)]
        if follow.from_start:
            return min((due for step in members if (due := self.outcome(step).due) is not None), default=None)
        made = [self.progress.get(step.key, _NEW) for step in members]
        if not all(one.over for one in made):
            return None
        return max((one.done_on for one in made if one.done_on is not None), default=None)


def resolve(
    pathway: Pathway,
    anchors: Mapping[str, date],
    judge: Callable[[Step], Verdict],
    progress: Mapping[str, Progress] | None = None,
) -> dict[str, Outcome]:
    """The outcome of every step, by its key; a step that `progress` does not have is open and new."""
    resolving = _Resolving(pathway, anchors, judge, progress or {})
    return {step.key: resolving.outcome(step) for step in pathway.steps}


def _counted(day: date | None, days: int, step: Step) -> date | None:
    return None if day is None else later(day, days, step.delay)
