"""What must hold of a step's history: it moved along the state machine (`pathways/steps.py`), and its end was final."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import pairwise

from fhir_server.pathways.invariants.record import Json, Moment, Record, Violation, name, window_of
from fhir_server.pathways.steps import MOVES

_UNDONE_BY_ANCHOR = frozenset(("requested", "ready"))
"""What is planned again when the event it is counted from moves to a later day."""


def steps_moved_legally(record: Record, moment: Moment) -> Iterator[Violation]:
    for _, step in record.steps:
        if step["resourceType"] != "Task":
            continue
        for before, after in pairwise(record.history(step)):
            was, now = before["status"], after["status"]
            if now == was or now in MOVES.get(was, ()) or "entered-in-error" in (was, now):
                continue
            if now == "draft" and was in _UNDONE_BY_ANCHOR and window_of(after) != window_of(before):
                continue
            if was == "draft" and now in MOVES["requested"] and _window_was_open(after):
                continue
            yield Violation(name(step), "step-move", f"it went from {was} to {now}")


def _window_was_open(task: Json) -> bool:
    """A planned step in its window can be begun and done at once, before the job that opens windows has run."""
    window = window_of(task)
    return window is None or date.fromisoformat(task["lastModified"][:10]) >= window[0]


def ends_are_final(record: Record, moment: Moment) -> Iterator[Violation]:
    """The window and the owner of a step that has ended are those it ended with."""
    for _, step in record.steps:
        if step["resourceType"] != "Task":
            continue
        for before, after in pairwise(record.history(step)):
            if not MOVES.get(before["status"], ()) and window_of(before) != window_of(after):
                yield Violation(name(step), "ended-step-moved", f"it was {before['status']}, and got another window")
