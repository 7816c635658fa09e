"""Patient $score-history: the stored scores of one instrument as series, ready to be plotted.

An operation of this server (profiles/OperationDefinition-Patient-score-history.json). One request gives all that a
chart needs: values in the order of time, bands, time-points, and the change since the baseline with the published
thresholds it reaches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fhir_server.errors import InvalidResource, Issue, TooCostly, operation_outcome
from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.change import BILATERAL, SIDES, Change, Threshold
from fhir_server.instruments.definition import Instrument, Score
from fhir_server.instruments.observation import on_imported_wording
from fhir_server.instruments.series import Point, Series, displayed, series_of
from fhir_server.interactions.exchange import Response
from fhir_server.model.json import encode
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.stored import content_of, current
from fhir_server.search.compile import compile_query
from fhir_server.search.parse import parse_search
from fhir_server.storage.query import Query

Json = dict[str, Any]

PAGE = 200
"""Observations read at once."""
MOST = 5000
"""Most Observations that are read: a score a day for more than ten years."""


async def score_history(call: OperationRequest) -> Response:
    """Raises InvalidResource (400) for what is not shipped, ResourceNotFound, ResourceGone, TooCostly (422)."""
    instrument = _instrument(call)
    scores = _scores(call, instrument)
    side = _side(call)
    await current(call, *call.target)
    found = await _observations(call, instrument, scores)
    settings = call.server.settings
    series = [
        one
        for score in scores
        for one in series_of(
            instrument,
            score,
            found[_code(instrument, score)],
            time_zone=settings.time_zone,
            allow_unverified=settings.score_unverified == "allow",
        )
        if side in (None, one.side)
    ]
    return Response(200, encode({"resourceType": "Parameters", "parameter": _answer(instrument, series)}))


def _instrument(call: OperationRequest) -> Instrument:
    catalogue = shipped(call.server.settings.canonical_base)
    wanted = call.one("instrument")
    for instrument in catalogue.instruments:
        if instrument.id == wanted and instrument.scores:
            return instrument
    known = ", ".join(instrument.id for instrument in catalogue.instruments if instrument.scores)
    raise InvalidResource(
        f"Parameter instrument: {str(wanted)[:100]} is not scored here. Scored: {known}.", code="value"
    )


def _scores(call: OperationRequest, instrument: Instrument) -> list[Score]:
    """Those asked for, in the instrument's order; all when none is."""
    wanted = {name.removeprefix(f"{instrument.id}.") for name in call.many("score")}
    unknown = wanted - {score.name for score in instrument.scores}
    if unknown:
        known = ", ".join(score.name for score in instrument.scores)
        raise InvalidResource(
            f"Parameter score: {instrument.id} has no {sorted(unknown)[0][:100]}. It has: {known}.", code="value"
        )
    return [score for score in instrument.scores if not wanted or score.name in wanted]


def _side(call: OperationRequest) -> str | None:
    side: str | None = call.one("laterality")
    if side is not None and side not in (*SIDES, BILATERAL):
        raise InvalidResource(f"Parameter laterality is one of {', '.join((*SIDES, BILATERAL))}.", code="value")
    return side


def _code(instrument: Instrument, score: Score) -> str:
    return f"{instrument.id}.{score.name}"


async def _observations(
    call: OperationRequest, instrument: Instrument, scores: Sequence[Score]
) -> dict[str, list[Json]]:
    """All stored Observations of the scores, by code; of every side, because the sides are compared."""
    system = _system(instrument)
    found: dict[str, list[Json]] = {_code(instrument, score): [] for score in scores}
    query: Query | None = _query(call, system, list(found))
    read = 0
    while query is not None:
        page = await call.server.store.search(call.scope, query)
        read += len(page.matches)
        if read > MOST:
            raise TooCostly(
                f"The patient has more than {MOST} of these scores: name one score, "
                "or search Observation by patient, code and date."
            )
        for version in page.matches:
            observation = content_of(version)
            for coding in observation["code"].get("coding", ()):
                if coding.get("system") == system and coding.get("code") in found:
                    found[coding["code"]].append(observation)
        more = page.next_after is not None
        query = replace(query, snapshot=page.snapshot, after=page.next_after) if more else None
    return found


def _query(call: OperationRequest, system: str, codes: Sequence[str]) -> Query:
    registry = call.server.registry
    _, logical_id = call.target
    pairs = [("patient", logical_id), ("code", ",".join(f"{system}|{code}" for code in codes))]
    return compile_query(
        replace(parse_search("Observation", pairs, strict=True, registry=registry), count=PAGE),
        base_url=call.request.base_url,
        time_zone=call.server.settings.time_zone,
        registry=registry,
    )


def _system(instrument: Instrument) -> str:
    return f"{instrument.canonical_base}/CodeSystem/msk-score"


def _answer(instrument: Instrument, series: Sequence[Series]) -> list[Json]:
    found: list[Json] = [
        {"name": "instrument", "valueCode": instrument.id},
        {"name": "title", "valueString": instrument.metadata["name"]},
        {"name": "evidence", "valueCode": instrument.metadata["evidence"]},
        *({"name": "series", "part": _series(instrument, one)} for one in series),
    ]
    observations = [point.observation for one in series for point in one.points]
    if instrument.experimental and not (observations and all(map(on_imported_wording, observations))):
        text = "Answered on neutral labels, not on the published wording: not a validated measurement."
        outcome = operation_outcome([Issue("informational", text, None, "warning")])
        found.append({"name": "outcome", "resource": outcome})
    return found


def _series(instrument: Instrument, series: Series) -> list[Json]:
    score = series.score
    coding = {"system": _system(instrument), "code": _code(instrument, score), "display": score.title}
    parts: list[Json] = [{"name": "score", "valueCoding": coding}]
    if series.side is not None:
        parts.append({"name": "laterality", "valueCode": series.side})
    parts.append({"name": "direction", "valueCode": score.direction})
    newest = series.points[-1].observation if series.points else {}
    for reference in newest.get("referenceRange", ())[:1]:
        bounds = {name: reference[name] for name in ("low", "high") if name in reference}
        parts.append({"name": "range", "valueRange": bounds})
    parts += [{"name": "point", "part": _point(score, point)} for point in series.points]
    for observation, reason in series.left_out:
        named = [{"name": "observation", "valueReference": _reference(observation)}]
        parts.append({"name": "leftOut", "part": [*named, {"name": "reason", "valueString": reason}]})
    return parts


def _point(score: Score, point: Point) -> list[Json]:
    observation, measurement = point.observation, point.measurement
    parts: list[Json] = [
        {"name": "date", "valueDateTime": observation["effectiveDateTime"]},
        {"name": "status", "valueCode": measurement.status},
    ]
    if measurement.value is not None:
        parts.append({"name": "value", "valueQuantity": observation["valueQuantity"]})
        parts.append({"name": "display", "valueString": displayed(measurement.value, score.decimals)})
    elif "valueCodeableConcept" in observation:
        parts.append({"name": "value", "valueCodeableConcept": observation["valueCodeableConcept"]})
    if "dataAbsentReason" in observation:
        parts.append({"name": "absent", "valueCodeableConcept": observation["dataAbsentReason"]})
    parts += [{"name": "band", "valueCodeableConcept": band} for band in observation.get("interpretation", ())[:1]]
    if measurement.timepoint is not None:
        parts.append({"name": "timePoint", "valueCode": measurement.timepoint})
    parts.append({"name": "observation", "valueReference": _reference(observation)})
    parts += [{"name": "response", "valueReference": one} for one in observation.get("derivedFrom", ())[:1]]
    parts.append(_change(score, point))
    return parts


def _change(score: Score, point: Point) -> Json:
    change = point.change
    if not isinstance(change, Change):
        told = [{"name": "code", "valueCode": change.code}, {"name": "reason", "valueString": change.reason}]
        return {"name": "noChange", "part": told}
    assert point.baseline is not None
    parts: list[Json] = [
        {"name": "improvement", "valueDecimal": change.improvement},
        {"name": "display", "valueString": displayed(change.improvement, score.decimals)},
        {"name": "baseline", "valueReference": _reference(point.baseline)},
        {"name": "baselineDate", "valueDateTime": point.baseline["effectiveDateTime"]},
        *({"name": "threshold", "part": _threshold(one, met)} for one, met in change.thresholds),
    ]
    return {"name": "change", "part": parts}


def _threshold(threshold: Threshold, met: bool) -> list[Json]:
    parts: list[Json] = [
        {"name": "kind", "valueString": threshold.kind},
        {"name": "value", "valueDecimal": threshold.value},
        {"name": "met", "valueBoolean": met},
        {"name": "population", "valueString": threshold.population},
        {"name": "method", "valueString": threshold.method},
        {"name": "source", "valueString": threshold.source},
        {"name": "evidence", "valueCode": threshold.evidence},
    ]
    return parts + ([{"name": "doi", "valueString": threshold.doi}] if threshold.doi else [])


def _reference(observation: Json) -> Json:
    return {"reference": f"Observation/{observation['id']}"}
