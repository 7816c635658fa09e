"""The order of a pathway's anchor events: extension msk-anchor-order on the PlanDefinition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from fhir_server.errors import BusinessRule


@dataclass(frozen=True, slots=True)
class AnchorOrder:
    """What the pathway says of its anchors; of what it does not say, nothing is checked."""

    after: dict[str, str]
    """The event that each event cannot come before."""
    excludes: list[tuple[str, str]]
    """Pairs of events of which one at most can happen."""

    def contradiction(self, days: Mapping[str, date]) -> tuple[str, str, str] | None:
        """Two events whose days cannot both be, and why; None when all can."""
        for event, other in self.excludes:
            if event in days and other in days:
                return event, other, f"{event} and {other} cannot both have happened: give one of them."
        for event, day in days.items():
            for earlier in self.before(event):
                if earlier in days and day < days[earlier]:
                    return event, earlier, f"{event} ({day}) lies before {earlier} ({days[earlier]})."
        return None

    def excluded(self, event: str, days: Mapping[str, date]) -> bool:
        """Whether it cannot happen, because what excludes it has."""
        return any((event == one and other in days) or (event == other and one in days) for one, other in self.excludes)

    def before(self, event: str) -> Iterator[str]:
        """Every event that `event` cannot come before, the nearest first."""
        for _ in self.after:
            if event not in self.after:
                return
            event = self.after[event]
            yield event


def read_order(plan: dict[str, Any], canonical_base: str) -> AnchorOrder:
    """Raises BusinessRule (422) for an order that cannot be: no event, an event twice, or an event before itself."""
    order = AnchorOrder({}, [])
    seen = set()
    for extension in plan.get("extension", []):
        if extension["url"] != f"{canonical_base}/StructureDefinition/msk-anchor-order":
            continue
        codes: dict[str, list[str]] = {}
        for part in extension.get("extension", []):
            codes.setdefault(part["url"], []).append(part.get("valueCode", ""))
        event = "".join(codes.get("event", []))
        if not event or event in seen:
            raise _unreadable(event)
        seen.add(event)
        order.after.update((event, earlier) for earlier in codes.get("after", []))
        order.excludes.extend((event, other) for other in codes.get("excludes", []))
    for event in order.after:
        if event in order.before(event):
            raise _unreadable(event)
    return order


def _unreadable(event: str) -> BusinessRule:
    return BusinessRule(
        f"The order of the anchors cannot be read at {event or 'one without event'}: msk-anchor-order needs one event, "
        "each event once, and no event can come after itself.",
        expression="PlanDefinition.extension",
    )
