"""EpisodeOfCare $rtt-clock: the referral to treatment clocks of an episode, each start and stop with its reason."""

from __future__ import annotations

from datetime import date
from typing import Any

from fhir_server.interactions.exchange import Response
from fhir_server.model.json import encode
from fhir_server.operations.plans_parameters import as_of_given
from fhir_server.operations.referral_record import events_of
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.stored import current
from fhir_server.pathways.rtt import Clock, account

Json = dict[str, Any]


async def rtt_clock(call: OperationRequest) -> Response:
    """Raises ResourceNotFound (404), ResourceGone (410)."""
    _, logical_id = call.target
    episode = await current(call, "EpisodeOfCare", logical_id)
    as_of = as_of_given(call)
    told = account(events_of(episode, call.server.settings.canonical_base), as_of)
    parameters: list[Json] = [
        {"name": "asOf", "valueDate": as_of.isoformat()},
        {"name": "status", "valueCode": told.status},
        {"name": "running", "valueBoolean": told.running is not None},
        *(_clock(clock, as_of) for clock in told.clocks),
        *(_event(*line) for line in told.lines),
    ]
    return Response(200, encode({"resourceType": "Parameters", "parameter": parameters}))


def _clock(clock: Clock, as_of: date) -> Json:
    parts: list[Json] = [{"name": "start", "valueDate": clock.start.isoformat()}]
    if clock.stop is not None:
        parts.append({"name": "stop", "valueDate": clock.stop.isoformat()})
        parts.append({"name": "stoppedBy", "valueCode": clock.stopped_by})
    days = clock.days(as_of)
    parts.append({"name": "days", "valueUnsignedInt": days})
    parts.append({"name": "weeks", "valueUnsignedInt": days // 7})
    parts.append({"name": "unavailableDays", "valueUnsignedInt": clock.unavailable})
    return {"name": "clock", "part": parts}


def _event(day: date, status: str, explanation: str) -> Json:
    return {
        "name": "event",
        "part": [
            {"name": "date", "valueDate": day.isoformat()},
            {"name": "status", "valueCode": status},
            {"name": "explanation", "valueString": explanation},
        ],
    }
