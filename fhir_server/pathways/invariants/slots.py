"""No slot is taken twice, and what is taken says so (R4 slot.html, appointment.html)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from fhir_server.pathways.invariants.record import Json, Violation, name, references

HOLDING = frozenset(("booked", "pending", "arrived", "fulfilled", "checked-in", "noshow"))
"""Appointments in these states have, or had, their slots to themselves."""


def slot_violations(slots: Iterable[Json], appointments: Iterable[Json]) -> Iterator[Violation]:
    """`appointments`: all that refer to one of `slots`."""
    taken: dict[str, list[str]] = defaultdict(list)
    for appointment in appointments:
        if appointment["status"] in HOLDING:
            for reference in references(appointment.get("slot")):
                taken[reference].append(name(appointment))
    for slot in slots:
        holders = sorted(taken[name(slot)])
        if len(holders) > 1:
            yield Violation(name(slot), "slot-twice", f"{', '.join(holders)} have it")
        if holders and slot["status"] == "free":
            yield Violation(name(slot), "slot-free", f"it is free, and {holders[0]} has it")
