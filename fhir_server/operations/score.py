"""QuestionnaireResponse $score: the scores of a response, or every reason why there are none.

An operation of this server (profiles/OperationDefinition-QuestionnaireResponse-score.json, docs/instruments.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from fhir_server.errors import BusinessRule, InvalidResource, Issue, MethodNotAllowed, operation_outcome
from fhir_server.instruments.observation import derived_uuid, observations
from fhir_server.instruments.subject import stored_patient_id
from fhir_server.interactions.answer import present
from fhir_server.interactions.consequences import react
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Response
from fhir_server.interactions.integrity import check_references
from fhir_server.interactions.logical_id import check_id, new_id
from fhir_server.interactions.questionnaire_answers import check_answers
from fhir_server.interactions.update import put
from fhir_server.model.json import encode
from fhir_server.model.reference import localise
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.score_alerts import raise_alerts
from fhir_server.operations.score_step import with_step
from fhir_server.operations.score_storage import Kept, store_scores
from fhir_server.operations.scorer import Scorer, StoreReading, stored_patient
from fhir_server.operations.stored import content_of, current
from fhir_server.storage.base import Transaction
from fhir_server.validation import validate

Json = dict[str, Any]

_TYPE = "QuestionnaireResponse"


async def score(call: OperationRequest) -> Response:
    """Raises BusinessRule (422) for a response that is not scored, InvalidResource, ResourceNotFound, ResourceGone."""
    if call.one("persist"):
        return await _score_and_store(call)
    response = await _response(call)
    reading = StoreReading(call.server.store, call.scope)
    response = await with_step(reading, response, call.server.settings.canonical_base)
    scorer = Scorer(call.server, reading, call.one("questionnaire"))
    scoring = await scorer.score(response, await _patient(call, response))
    _refuse(scoring.refused, scoring.warnings)
    entries = [
        {"fullUrl": derived_uuid(response, observation), "resource": observation}
        for observation in observations(scoring, response)
    ]
    return _answer(scoring.warnings, entries)


async def _response(call: OperationRequest) -> Json:
    """The stored response, or the one sent at the type level."""
    sent: Json | None = call.one("response")
    if call.logical_id is None:
        if sent is None:
            raise InvalidResource("Send the QuestionnaireResponse, or call $score on a stored one.", code="required")
        validate(sent)
        answers_apart = {name: value for name, value in sent.items() if name != "item"}
        localise(answers_apart, call.request.base_url)
        return sent
    if sent is not None:
        raise InvalidResource("response is for the type level: the response to score is the one in the URL.")
    return await current(call, _TYPE, call.logical_id)


async def _patient(call: OperationRequest, response: Json) -> Json | None:
    """The Patient sent as `subject`, or the stored one the response is of."""
    sent = _subject(call, response)
    return sent or await stored_patient(StoreReading(call.server.store, call.scope), response)


def _subject(call: OperationRequest, response: Json) -> Json | None:
    """The Patient sent. Raises BusinessRule when the response is of another."""
    sent: Json | None = call.one("subject")
    if sent is not None:
        validate(sent)
        logical_id = stored_patient_id(response)
        if logical_id is not None and sent.get("id", logical_id) != logical_id:
            text = f"The subject sent is Patient/{sent['id']}, the response is of Patient/{logical_id}."
            raise BusinessRule(text, expression="QuestionnaireResponse.subject.reference")
    return sent


async def _check_subject(call: OperationRequest, transaction: Transaction, response: Json) -> None:
    """Scores that are stored follow the stored Patient, now and whenever they are scored again."""
    sent = _subject(call, response)
    if sent is None:
        return
    stored = await stored_patient(transaction, response) or {}
    if any(sent.get(element) != stored.get(element) for element in ("gender", "birthDate")):
        raise BusinessRule(
            "The subject sent differs from the stored Patient in sex or birth date, and scores that are stored follow "
            "the stored one: store the Patient first, or leave subject or persist out.",
            expression="QuestionnaireResponse.subject.reference",
        )


async def _score_and_store(call: OperationRequest) -> Response:
    if call.request.method != "POST":
        raise MethodNotAllowed("persist stores scores: POST it.", headers={"Allow": "POST"})
    if call.logical_id is None:
        kept = await _store_both(call)
    else:
        kept = await call.server.store.write(call.scope, partial(_store, call, call.logical_id))
        _refuse(kept.refused, kept.warnings)
    base = call.request.base_url
    entries = [
        {"fullUrl": f"{base}/Observation/{observation['id']}", "resource": observation}
        for observation in kept.observations
    ]
    return _answer(kept.warnings, entries)


async def _store_both(call: OperationRequest) -> Kept:
    """Store a response sent with the call, as by PUT when it has an id, else as by POST, and its scores: or neither."""
    server = call.server
    response = await _response(call)
    if (questionnaire := call.one("questionnaire")) is not None:
        response.setdefault("questionnaire", questionnaire)
    localise(response, call.request.base_url)
    own_id = "id" in response
    logical_id = check_id(response["id"]) if own_id else new_id()
    draft = prepare_for(server, response, logical_id, fresh=not own_id)

    async def work(transaction: Transaction) -> Kept:
        await check_references(server, transaction, response)
        unchecked = await check_answers(server, transaction, response)
        _, version = await put(server, call.request, transaction, draft, own_id=not own_id)
        unchecked += await react(server, transaction, version)
        kept = await _store(call, logical_id, transaction)
        _refuse(kept.refused, kept.warnings)
        kept.warnings += unchecked
        return kept

    return await server.store.write(call.scope, work)


async def _store(call: OperationRequest, logical_id: str, transaction: Transaction) -> Kept:
    """The scores, and the alerts that no write has stored."""
    version = present(await transaction.current(_TYPE, logical_id), _TYPE, logical_id)
    await _check_subject(call, transaction, content_of(version))
    scorer = Scorer(call.server, transaction, call.one("questionnaire"))
    kept = await store_scores(call.server, transaction, version, scorer)
    response = content_of(version)
    if (questionnaire := call.one("questionnaire")) is not None:
        response.setdefault("questionnaire", questionnaire)
    kept.warnings += await raise_alerts(call.server, transaction, response)
    return kept


def _refuse(refused: Sequence[Issue], warnings: Sequence[Issue]) -> None:
    """Raise when there are no scores."""
    if refused:
        raise BusinessRule("The response is not scored.", issues=[*refused, *warnings])


def _answer(warnings: Sequence[Issue], entries: list[Json]) -> Response:
    explained = [
        Issue("informational", note["text"], None, "information")
        for entry in entries
        for note in entry["resource"].get("note", ())
    ]
    outcome = {"resource": operation_outcome([*warnings, *explained])}
    bundle: Json = {"resourceType": "Bundle", "type": "collection", "entry": [*entries, outcome]}
    return Response(200, encode(bundle))
