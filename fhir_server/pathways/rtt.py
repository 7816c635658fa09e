"""The clock from referral to treatment (RTT), computed from what happened to a referral.

NHS Data Dictionary, REFERRAL TO TREATMENT PERIOD STATUS, for the codes; NHS England, Referral to treatment
consultant-led waiting times: rules suite, for what starts and stops a clock. A move between services of one provider
does not restart it. Pauses were abolished in October 2015: days on which the patient could not come are counted and
shown, and do not stop the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

STARTS = {"10", "11", "12"}
"""First activity; after active monitoring; a new condition."""
RUNS = {"20", "21"}
STOPS = {"30", "31", "32", "33", "34", "35", "36"}
MISSED_FIRST = "33"
"""The first appointment was not attended: this clock is void, and a new one starts when the next is agreed."""
AFTER = {"90", "91"}

MEANING = {
    "10": "the referral was received: the clock starts",
    "11": "active monitoring ended with a decision to treat: a new clock starts",
    "12": "referred for another condition: a new clock starts",
    "20": "more is to come before treatment: the clock runs",
    "21": "sent on to another provider, with whom the clock runs",
    "30": "the first treatment began: the clock stops",
    "31": "the patient chose active monitoring: the clock stops",
    "32": "the clinician chose active monitoring: the clock stops",
    "33": "the first appointment was not attended: the clock is void",
    "34": "it was decided not to treat: the clock stops",
    "35": "the patient declined treatment: the clock stops",
    "36": "the patient died: the clock stops",
    "90": "after the first treatment: no clock runs",
    "91": "in active monitoring: no clock runs",
}


@dataclass(frozen=True, slots=True)
class Event:
    """What happened on a day: the state the referral moved to, and the RTT status it had from then on."""

    day: date
    state: str
    status: str


def day_of_event(events: Sequence[Event], day: date | None, today: date) -> date:
    """The day that an event of `day` counts on: not in the future, and not before what is known to have come before."""
    return max([min(day or today, today), *(event.day for event in events[-1:])])


@dataclass(slots=True)
class Clock:
    """One clock; `stop` is None while it runs."""

    start: date
    stop: date | None = None
    stopped_by: str | None = None
    """RTT status."""
    unavailable: int = 0
    """Days the patient could not come: from a cancellation by the patient to the next booking."""

    def days(self, as_of: date) -> int:
        """Waited until the stop, or until `as_of`."""
        return max(0, ((self.stop or as_of) - self.start).days)


@dataclass(slots=True)
class Account:
    """All clocks of a referral, the last one being the present, and each event in words."""

    clocks: list[Clock] = field(default_factory=list)
    lines: list[tuple[date, str, str]] = field(default_factory=list)
    """(day, RTT status, explanation)"""
    status: str = "99"

    @property
    def running(self) -> Clock | None:
        return self.clocks[-1] if self.clocks and self.clocks[-1].stop is None else None


def account(events: Sequence[Event], as_of: date | None = None) -> Account:
    """The clocks after `events`, which are in order; those after `as_of` are left out."""
    told = Account()
    away: date | None = None
    for event in events:
        if as_of is not None and event.day > as_of:
            break
        told.status = event.status
        told.lines.append((event.day, event.status, f"{event.state}: {MEANING[event.status]}"))
        _run(told, event)
        clock = told.running
        if event.state == "cancelled-patient":
            away = event.day
        elif away is not None and event.state != "cancelled-provider":
            if clock is not None:
                clock.unavailable += (event.day - max(away, clock.start)).days
            away = None
    if away is not None and as_of is not None and told.running is not None:
        told.running.unavailable += max(0, (as_of - max(away, told.running.start)).days)
    return told


def _run(told: Account, event: Event) -> None:
    clock = told.running
    if event.status in STARTS and clock is None:
        told.clocks.append(Clock(event.day))
    elif clock is not None and event.status in STOPS:
        clock.stop, clock.stopped_by = event.day, event.status


_DECIDED = {
    "submitted": "10",
    "rejected": "34",
    "advice": "34",
    "withdrawn": "35",
}


def status_after(events: Sequence[Event], state: str, *, given: str | None = None, two_week_wait: bool = False) -> str:
    """The RTT status that a move to `state` gives after `events`; `given` is what the clinician decided.

    A first appointment that is missed voids the clock of a routine or an urgent referral; that of a two week wait runs
    on (NHS Data Dictionary, class REFERRAL TO TREATMENT PERIOD).
    """
    told = account(events)
    if given is not None:
        return given
    if told.running is None:
        return _without_clock(told, state)
    if state == "dna" and is_first_activity(events) and not two_week_wait:
        return MISSED_FIRST
    if state == "discharged":
        return "34"
    return _DECIDED.get(state, "20")


def _without_clock(told: Account, state: str) -> str:
    if not told.lines:
        return "10"
    if told.status == MISSED_FIRST and state == "booked":
        return "10"
    if told.status in ("31", "32", "91"):
        return "91"
    if told.status in ("30", "90"):
        return "90"
    return told.status


def is_first_activity(events: Sequence[Event]) -> bool:
    """Whether the patient was to be seen for the first time."""
    return not any(event.state in ("attended", "dna") for event in events)


def may_decide(state: str, running: bool, *, first: bool = False) -> tuple[str, ...]:
    """The RTT statuses that a clinician can give with a move to `state`; `first`: nobody has seen the patient yet."""
    if state == "attended":
        return ("20", "30", "31", "32", "34", "35") if running else ("11", "12", "90", "91")
    if state == "redirected":
        return ("21",) if running else ()
    if state == "discharged":
        return ("30", "34", "35") if running else ("90", "91")
    if state == "dna":
        return ("20", MISSED_FIRST) if running and first else ()
    if state == "withdrawn":
        return ("35", "36") if running else ("90", "91")
    if state in ("booked", "accepted") and not running:
        return ("11", "12", "90", "91")
    return ()
