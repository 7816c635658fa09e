"""The states of a referral and the moves between them, as data.

The state stands in the businessStatus of the coordinating Task, and as msk-referral-state on the ServiceRequest, so
that each move gives it a new ETag. Statuses: R4 request-status, task-status, episode-of-care-status. What each state
means, and where we differ from the commissioner's table: docs/referrals.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class State:
    """One state, and the statuses of the three resources in it."""

    code: str
    request: str
    """ServiceRequest.status"""
    task: str | None
    """Task.status of the coordinating Task; None before there is one."""
    episode: str | None
    """EpisodeOfCare.status; None before there is one."""
    next: tuple[str, ...]
    """States it can move to."""


_LIVE = "withdrawn"
"""A patient can withdraw, or die, at any time before discharge."""

STATES = {
    state.code: state
    for state in (
        State("draft", "draft", None, None, ("submitted", "discarded")),
        State("discarded", "entered-in-error", None, None, ()),
        State("submitted", "active", "requested", "planned", ("in-triage", _LIVE)),
        State(
            "in-triage",
            "active",
            "in-progress",
            "planned",
            ("accepted", "redirected", "more-info", "rejected", "advice", _LIVE),
        ),
        State("more-info", "on-hold", "on-hold", "planned", ("in-triage", "rejected", _LIVE)),
        State("accepted", "active", "completed", "active", ("booked", "waitlisted", "redirected", _LIVE)),
        State("redirected", "active", "completed", "planned", ("accepted", _LIVE)),
        State("rejected", "revoked", "rejected", "cancelled", ()),
        State("advice", "revoked", "completed", "cancelled", ()),
        State("waitlisted", "active", "completed", "waitlist", ("booked", _LIVE)),
        State(
            "booked",
            "active",
            "completed",
            "active",
            ("attended", "dna", "cancelled-patient", "cancelled-provider", _LIVE),
        ),
        State("attended", "active", "completed", "active", ("booked", "discharged", _LIVE)),
        State("dna", "active", "completed", "active", ("booked", "discharged", "rejected", _LIVE)),
        State("cancelled-patient", "active", "completed", "active", ("booked", "discharged", "rejected", _LIVE)),
        State("cancelled-provider", "active", "completed", "active", ("booked", "discharged", "rejected", _LIVE)),
        State("discharged", "completed", "completed", "finished", ("accepted",)),
        State("withdrawn", "revoked", "cancelled", "cancelled", ()),
    )
}

TRANSFERRED = State("redirected", "revoked", "completed", "cancelled", ())
"""Redirected to another provider: this provider's part is over."""

_BY = {
    "submitted": "$submit",
    "discarded": "$discard",
    "in-triage": "$start-triage",
    "accepted": "$triage with outcome accept",
    "redirected": "$triage with outcome redirect",
    "more-info": "$triage with outcome more-info",
    "rejected": "$triage with outcome reject",
    "advice": "$triage with outcome advice",
    "waitlisted": "$waitlist",
    "booked": "$book",
    "attended": "$attend with outcome attended",
    "dna": "$attend with outcome dna",
    "cancelled-patient": "$attend with outcome cancelled-patient",
    "cancelled-provider": "$attend with outcome cancelled-provider",
    "discharged": "$discharge",
    "withdrawn": "$withdraw",
}


def next_of(code: str, request_status: str) -> tuple[str, ...]:
    """States that a referral in `code` can move to; none when the referral itself is over."""
    if code == TRANSFERRED.code and request_status == TRANSFERRED.request:
        return TRANSFERRED.next
    return STATES[code].next


def moves_from(code: str, request_status: str) -> list[str]:
    """The operations that move on a referral in `code`, as people call them."""
    return [_operation(code, target) for target in next_of(code, request_status)]


def _operation(code: str, target: str) -> str:
    return "$reopen" if code == "discharged" else _BY[target]
