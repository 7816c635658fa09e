"""QuestionnaireResponse $score: the scores of a response, or every reason why there are none.

An operation of this server (profiles/OperationDefinition-QuestionnaireResponse-score.json, docs/instruments.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from fhir_server.errors import BusinessRule, InvalidResource, Issue, MethodNotAllowed, operation_outcome
from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.observation import derived_id, derived_uuid, flag, is_alert, observations
from fhir_server.instruments.scoring import Scoring, score_response
from fhir_server.interactions.answer import present
from fhir_server.interactions.draft import prepare
from fhir_server.interactions.exchange import Response, Server
from fhir_server.model.dates import zone
from fhir_server.model.json import encode
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.stored import content_of, current
from fhir_server.storage.base import Transaction
from fhir_server.validation import validate

Json = dict[str, Any]


@dataclass(slots=True)
class _Stored:
    """What `persist` left in the store."""

    scoring: Scoring
    response: Json
    observations: list[Json] = field(default_factory=list)


async def score(call: OperationRequest) -> Response:
    """Raises BusinessRule (422) for a response that is not scored, InvalidResource, ResourceNotFound, ResourceGone."""
    if call.one("persist"):
        return await _score_and_store(call)
    response = await _response(call)
    scoring = _score(call.server, response, call.one("questionnaire"))
    _refuse(scoring)
    entries = [
        {"fullUrl": derived_uuid(response, observation), "resource": observation}
        for observation in observations(scoring, response)
    ]
    return _answer(scoring, entries)


async def _response(call: OperationRequest) -> Json:
    """The stored response, or the one sent at the type level."""
    sent: Json | None = call.one("response")
    if call.logical_id is None:
        if sent is None:
            raise InvalidResource("Send the QuestionnaireResponse, or call $score on a stored one.", code="required")
        validate(sent)
        return sent
    if sent is not None:
        raise InvalidResource("response is for the type level: the response to score is the one in the URL.")
    return await current(call, "QuestionnaireResponse", call.logical_id)


async def _score_and_store(call: OperationRequest) -> Response:
    if call.request.method != "POST":
        raise MethodNotAllowed("persist stores scores: POST it.", headers={"Allow": "POST"})
    if call.logical_id is None:
        raise BusinessRule(
            "Only the scores of a stored response are stored: create it, then POST "
            "QuestionnaireResponse/[id]/$score with persist."
        )
    kept = await call.server.store.write(call.scope, partial(_store_scores, call))
    _refuse(kept.scoring, kept.observations)
    base = call.request.base_url
    entries = [
        {"fullUrl": f"{base}/Observation/{observation['id']}", "resource": observation}
        for observation in kept.observations
    ]
    return _answer(kept.scoring, entries)


async def _store_scores(call: OperationRequest, transaction: Transaction) -> _Stored:
    """Score the version the transaction sees and store what differs; alerts also when the scores are refused."""
    assert call.logical_id is not None
    version = await transaction.current("QuestionnaireResponse", call.logical_id)
    response = content_of(present(version, "QuestionnaireResponse", call.logical_id))
    scoring = _score(call.server, response, call.one("questionnaire"))
    kept = _Stored(scoring, response)
    if not scoring.accepted:
        return kept
    zone = call.server.settings.time_zone
    for observation in observations(scoring, response):
        identified = {"resourceType": "Observation", "id": derived_id(call.logical_id, observation), **observation}
        kept.observations.append(await _put_if_changed(transaction, identified, zone))
        if is_alert(observation) and await transaction.current("Flag", identified["id"]) is None:
            await transaction.put(prepare(flag(identified), identified["id"], time_zone=zone))
    return kept


async def _put_if_changed(transaction: Transaction, resource: Json, zone: str) -> Json:
    """The stored resource, a new version only when its content is new."""
    stored = await transaction.current(resource["resourceType"], resource["id"])
    if stored is not None and stored.body is not None:
        content = content_of(stored)
        if {**content, "meta": None} == {**resource, "meta": None}:
            return content
    return content_of(await transaction.put(prepare(resource, resource["id"], time_zone=zone)))


def _score(server: Server, response: Json, questionnaire: str | None) -> Scoring:
    settings = server.settings
    named = _with_questionnaire(response, questionnaire)
    canonical = named.get("questionnaire")
    instrument = shipped(settings.canonical_base).of_questionnaire(canonical if isinstance(canonical, str) else "")
    return score_response(
        instrument,
        named,
        now=datetime.now(zone(settings.time_zone)),
        allow_unverified=settings.score_unverified == "allow",
    )


def _with_questionnaire(response: Json, questionnaire: str | None) -> Json:
    """`response` naming `questionnaire`, which may only add what the response leaves open."""
    if questionnaire is None:
        return response
    own = response.get("questionnaire")
    if own not in (None, questionnaire, questionnaire.partition("|")[0]):
        raise BusinessRule(
            f"The response was answered on {own}, not on {questionnaire}.",
            expression="QuestionnaireResponse.questionnaire",
        )
    return {**response, "questionnaire": questionnaire}


def _refuse(scoring: Scoring, stored: list[Json] | None = None) -> None:
    """Raise when there are no scores; `stored` are the alerts that were kept all the same."""
    if not scoring.refused:
        return
    kept = [
        Issue(
            "informational",
            f"The alert was stored as Observation/{alert['id']} and Flag/{alert['id']}.",
            None,
            "information",
        )
        for alert in stored or ()
    ]
    raise BusinessRule("The response is not scored.", issues=[*scoring.refused, *scoring.warnings, *kept])


def _answer(scoring: Scoring, entries: list[Json]) -> Response:
    explained = [
        Issue("informational", note["text"], None, "information")
        for entry in entries
        for note in entry["resource"]["note"]
    ]
    bundle: Json = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    parameters = [
        {"name": "return", "resource": bundle},
        {"name": "outcome", "resource": operation_outcome([*scoring.warnings, *explained])},
    ]
    return Response(200, encode({"resourceType": "Parameters", "parameter": parameters}))
