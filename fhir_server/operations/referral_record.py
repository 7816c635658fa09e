"""A referral as it is stored: the ServiceRequest, its coordinating Task and its EpisodeOfCare.

R4 servicerequest.html, task.html, episodeofcare.html; the states: pathways/referral.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from fhir_server.errors import BusinessRule
from fhir_server.interactions.exchange import Server
from fhir_server.operations.found import found
from fhir_server.operations.stored import content_of
from fhir_server.pathways.referral import STATES
from fhir_server.pathways.rtt import MEANING, Account, Event, account
from fhir_server.storage.base import Transaction

Json = dict[str, Any]

COORDINATE = "coordinate-referral"
"""Task.code (msk-task-code) of the Task that carries the state."""


@dataclass(slots=True)
class Referral:
    """The three resources; the Task and the episode are None for a draft."""

    request: Json
    task: Json | None
    episode: Json | None
    canonical_base: str

    @property
    def state(self) -> str:
        if self.task is None:
            return "draft"
        codings = self.task.get("businessStatus", {}).get("coding", ())
        known = [one.get("code") for one in codings if one.get("system") == self._system]
        return known[0] if known and known[0] in STATES else "submitted"

    @property
    def events(self) -> list[Event]:
        """What happened to it, as its episode tells."""
        return [] if self.episode is None else events_of(self.episode, self.canonical_base)

    @property
    def _system(self) -> str:
        return f"{self.canonical_base}/CodeSystem/msk-referral-state"


async def read_referral(server: Server, transaction: Transaction, request: Json) -> Referral:
    """Raises BusinessRule (422) for a ServiceRequest under way that no coordinating Task belongs to."""
    base = server.settings.canonical_base
    name = f"ServiceRequest/{request['id']}"
    criteria = [("focus", name), ("code", f"{base}/CodeSystem/msk-task-code|{COORDINATE}")]
    tasks = await found(server, transaction, "Task", criteria, 2)
    episodes = await found(server, transaction, "EpisodeOfCare", [("incoming-referral", name)], 2)
    if not tasks and request["status"] == "draft":
        return Referral(request, None, None, base)
    if len(tasks) != 1 or len(episodes) != 1:
        raise BusinessRule(
            f"{name} is no referral under way: it has {len(tasks)} coordinating Tasks and {len(episodes)} episodes of "
            "care where one of each belongs. A referral begins with $submit.",
            expression="ServiceRequest",
        )
    return Referral(request, content_of(tasks[0]), content_of(episodes[0]), base)


def events_of(episode: Json, canonical_base: str) -> list[Event]:
    """The msk-rtt-event extensions of the episode, in order. Raises BusinessRule (422) for one that cannot be read."""
    events = []
    for extension in episode.get("extension", ()):
        if extension["url"] == f"{canonical_base}/StructureDefinition/msk-rtt-event":
            parts = {part["url"]: part for part in extension.get("extension", ())}
            try:
                day = date.fromisoformat(parts["date"]["valueDate"])
                status = parts["status"]["valueCode"]
                if status not in MEANING:
                    raise ValueError(status)
                events.append(Event(day, parts["state"]["valueCode"], status))
            except (KeyError, ValueError) as error:
                raise BusinessRule(
                    f"EpisodeOfCare/{episode['id']} has an msk-rtt-event that cannot be read: it needs date, state and "
                    "a status of msk-rtt-status.",
                    expression="EpisodeOfCare.extension",
                ) from error
    return events


def with_events(episode: Json, events: list[Event], canonical_base: str) -> Json:
    """The episode with these events, and the clock that follows from them (msk-rtt)."""
    base = f"{canonical_base}/StructureDefinition"
    others = [
        one for one in episode.get("extension", ()) if one["url"] not in (f"{base}/msk-rtt", f"{base}/msk-rtt-event")
    ]
    told = account(events)
    stated = [_clock(told, base)] if told.clocks else []
    extensions = [*others, *stated, *(_event(event, base) for event in events)]
    return {**episode, "extension": extensions}


def _clock(told: Account, base: str) -> Json:
    clock = told.clocks[-1]
    parts: list[Json] = [{"url": "start", "valueDate": clock.start.isoformat()}]
    if clock.stop is not None:
        parts.append({"url": "stop", "valueDate": clock.stop.isoformat()})
    parts.append({"url": "status", "valueCode": told.status})
    parts.append({"url": "pausedays", "valueUnsignedInt": clock.unavailable})
    return {"url": f"{base}/msk-rtt", "extension": parts}


def _event(event: Event, base: str) -> Json:
    return {
        "url": f"{base}/msk-rtt-event",
        "extension": [
            {"url": "date", "valueDate": event.day.isoformat()},
            {"url": "state", "valueCode": event.state},
            {"url": "status", "valueCode": event.status},
        ],
    }
