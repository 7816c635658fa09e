"""What must hold of a referral: its coordinating Task, its ServiceRequest and its EpisodeOfCare say the same.

The state is the Task's businessStatus; what it means for the three is `pathways/referral.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import groupby, pairwise

from fhir_server.pathways.invariants.plans import ENDED, is_dead
from fhir_server.pathways.invariants.record import Json, Moment, Record, Violation, name, parts, references
from fhir_server.pathways.referral import STATES, TRANSFERRED, State
from fhir_server.pathways.rtt import Event, account

_UNSENT = frozenset(("draft", "discarded"))
_OVER = frozenset(("rejected", "advice", "discharged", "withdrawn"))
_CALLED_OFF = frozenset(("rejected", "advice", "withdrawn"))


def referrals_are_whole(record: Record, moment: Moment) -> Iterator[Violation]:
    """A referral that was sent has one coordinating Task and one episode; a Task its referral."""
    tasks = list(_tasks(record))
    for task in tasks:
        if _request(record, task) is None:
            yield Violation(name(task), "referral-missing", "its focus is not among the patient's ServiceRequests")
        if _state(record, task) not in STATES:
            yield Violation(name(task), "referral-state", f"there is no state {_state(record, task)}")
    for request in record.of_type("ServiceRequest"):
        state = _mirrored(record, request)
        if state is None or state in _UNSENT:
            continue
        coordinating = [task for task in tasks if task.get("focus", {}).get("reference") == name(request)]
        for kind, found in (("coordinating Task", coordinating), ("EpisodeOfCare", _episodes(record, request))):
            if len(found) != 1:
                yield Violation(name(request), "referral-not-whole", f"it has {len(found)} of {kind}")


def statuses_agree(record: Record, moment: Moment) -> Iterator[Violation]:
    """The state, and the statuses that it gives the three resources."""
    for task in _tasks(record):
        request = _request(record, task)
        code = _state(record, task)
        if request is None or code not in STATES:
            continue
        state = TRANSFERRED if _is_transferred(request, code) else STATES[code]
        if _mirrored(record, request) != code:
            told = f"it is {_mirrored(record, request)}, and {name(task)} is {code}"
            yield Violation(name(request), "referral-mirror", told)
        yield from _status(request, state.request, state)
        yield from _status(task, state.task, state)
        for episode in _episodes(record, request):
            yield from _status(episode, state.episode, state)


def _status(resource: Json, expected: str | None, state: State) -> Iterator[Violation]:
    if resource["status"] != expected:
        told = f"it is {resource['status']}; in the state {state.code} it is {expected}"
        yield Violation(name(resource), "referral-status", told)


def moves_were_legal(record: Record, moment: Moment) -> Iterator[Violation]:
    """Each state in the history follows from the one before, and a Provenance says why."""
    explained = {target for one in record.of_type("Provenance") for target in references(one.get("target"))}
    for task in _tasks(record):
        history = record.history(task)
        first = _state(record, history[0])
        if first in _UNSENT:
            yield Violation(name(task), "referral-begun", f"its first state is {first}")
        for before, after in pairwise(history):
            was, now = _state(record, before), _state(record, after)
            if now == was:
                continue
            if now not in STATES.get(was, TRANSFERRED).next:
                yield Violation(name(task), "referral-move", f"it went from {was} to {now}")
            version = f"{name(task)}/_history/{after.get('meta', {}).get('versionId')}"
            if version not in explained:
                yield Violation(name(task), "referral-unexplained", f"no Provenance tells of its move to {now}")


def clocks_agree(record: Record, moment: Moment) -> Iterator[Violation]:
    """The RTT clock of an episode is what its events make it; they are the moves of its referral, in order."""
    for task in _tasks(record):
        request = _request(record, task)
        for episode in _episodes(record, request) if request else ():
            events = [_event(one) for one in record.extensions(episode, "msk-rtt-event")]
            states = [event.state for event in events]
            moves = [state for state, _ in groupby(_state(record, version) for version in record.history(task))]
            # A referral that was brought in may have come a long way before.
            if states[-len(moves) :] != moves:
                told = f"its events are {', '.join(states)}; the referral went through {', '.join(moves)}"
                yield Violation(name(episode), "rtt-events", told)
            if [event.day for event in events] != sorted(event.day for event in events):
                yield Violation(name(episode), "rtt-events", "its events are not in the order of their days")
            yield from _clock(record, episode, events, _state(record, task))


def _clock(record: Record, episode: Json, events: list[Event], state: str) -> Iterator[Violation]:
    clocks = account(events).clocks
    expected = clocks[-1] if clocks else None
    rtt = record.extension(episode, "msk-rtt")
    if rtt is None or expected is None:
        if rtt is not None or expected is not None:
            told = "no clock" if rtt is None else "a clock"
            yield Violation(name(episode), "rtt-clock", f"it has {told}, which its events do not give")
        return
    clock = parts(rtt)
    start, stop = (_day(clock, side) for side in ("start", "stop"))
    if (start, stop) != (expected.start, expected.stop):
        told = f"its clock is {start} to {stop}; its events give {expected.start} to {expected.stop}"
        yield Violation(name(episode), "rtt-clock", told)
    if stop is not None and start is not None and stop < start:
        yield Violation(name(episode), "rtt-order", f"it stops on {stop}, before it starts on {start}")
    if stop is None and state in _OVER:
        yield Violation(name(episode), "rtt-runs", f"the referral is {state}, its clock runs")


def _event(extension: Json) -> Event:
    told = parts(extension)
    day = date.fromisoformat(told["date"]["valueDate"])
    return Event(day, str(told["state"]["valueCode"]), str(told["status"]["valueCode"]))


def ended_referrals_rest(record: Record, moment: Moment) -> Iterator[Violation]:
    """No plan goes on for a referral that was called off, and no referral for somebody who has died."""
    off = {}
    for task in _tasks(record):
        request, state = _request(record, task), _state(record, task)
        if request is not None and state in _CALLED_OFF:
            off[name(request)] = state
        if is_dead(record) and state not in _OVER and not (request and _is_transferred(request, state)):
            yield Violation(name(task), "stands-for-nobody", f"it is {state}, and the patient has died")
    for plan in record.plans:
        for reference in references(plan.get("supportingInfo")):
            if reference in off and plan["status"] not in ENDED:
                told = f"it is {plan['status']}, and its referral {reference} is {off[reference]}"
                yield Violation(name(plan), "plan-of-ended-referral", told)


def _tasks(record: Record) -> Iterator[Json]:
    """Coordinating Tasks that are not errors."""
    for task in record.of_type("Task"):
        coordinates = record.code(task.get("code"), "msk-task-code") == "coordinate-referral"
        if coordinates and task["status"] != "entered-in-error":
            yield task


def _state(record: Record, task: Json) -> str:
    return record.code(task.get("businessStatus"), "msk-referral-state") or "none"


def _is_transferred(request: Json, state: str) -> bool:
    """Another provider has the referral now."""
    return state == TRANSFERRED.code and bool(request["status"] == TRANSFERRED.request)


def _mirrored(record: Record, request: Json) -> str | None:
    extension = record.extension(request, "msk-referral-state")
    return None if extension is None else str(extension.get("valueCode"))


def _request(record: Record, task: Json) -> Json | None:
    return record.by_reference.get(task.get("focus", {}).get("reference", ""))


def _episodes(record: Record, request: Json) -> list[Json]:
    return [
        episode
        for episode in record.of_type("EpisodeOfCare")
        if name(request) in references(episode.get("referralRequest"))
    ]


def _day(clock: dict[str, Json], part: str) -> date | None:
    return date.fromisoformat(clock[part]["valueDate"]) if part in clock else None
