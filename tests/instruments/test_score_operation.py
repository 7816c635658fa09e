"""$score called on a server: what it answers, refuses and stores. Both engines."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.errors import FhirError
from fhir_server.interactions.draft import prepare
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.model.json import encode, parse
from fhir_server.operations.registry import OperationRegistry
from fhir_server.operations.served import OPERATIONS
from fhir_server.storage.base import StoredVersion, Transaction
from fhir_server.storage.query import Query
from fhir_server.storage.scope import ALL
from fhir_server.validation import validate
from tests.instruments.responses import BASE, answered, response

BASE_URL = "http://test.example/fhir"
REGISTRY = OperationRegistry(known for known in OPERATIONS if known.definition.code == "score")
PERSIST = {"resourceType": "Parameters", "parameter": [{"name": "persist", "valueBoolean": True}]}


async def call(
    server: Server,
    logical_id: str | None,
    body: Any = None,
    method: str = "POST",
    query: tuple[tuple[str, str], ...] = (),
) -> Response:
    request = Request(method, "", list(query), {}, b"" if body is None else encode(body), base_url=BASE_URL)
    level = "type" if logical_id is None else "instance"
    return await REGISTRY.invoke(server, request, level, "QuestionnaireResponse", logical_id, None, "score")


async def refusal(server: Server, logical_id: str | None, body: Any = None, **how: Any) -> FhirError:
    with pytest.raises(FhirError) as refused:
        await call(server, logical_id, body, **how)
    return refused.value


async def store(server: Server, body: dict[str, Any], logical_id: str = "r-1") -> None:
    draft = prepare(dict(body), logical_id, time_zone="Europe/London")

    async def work(transaction: Transaction) -> None:
        await transaction.put(draft)

    await server.store.write(ALL, work)


async def all_of(server: Server, resource_type: str) -> list[StoredVersion]:
    return (await server.store.search(ALL, Query(resource_type, count=100))).matches


def parts(answer: Response) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The Observations and the issues of the outcome, all of them valid."""
    assert isinstance(answer.body, bytes)
    bundle = parse(answer.body, max_depth=100)
    *observations, outcome = (entry["resource"] for entry in bundle["entry"])
    assert (bundle["type"], outcome["resourceType"]) == ("collection", "OperationOutcome")
    validate(bundle)
    return observations, outcome["issue"]


async def test_a_stored_response(server: Server) -> None:
    await store(
        server,
        response(
            "oks",
            [4, 3, 2, 1, 0, 4, 3, 2, 1, 0, 4, 3],
            basedOn=[{"reference": "CarePlan/c-1"}],
            source={"reference": "RelatedPerson/carer"},
            extension=[
                {"url": f"{BASE}/StructureDefinition/msk-timepoint", "valueCode": "baseline"},
                {"url": "https://example.org/other", "valueCode": "x"},
            ],
        ),
    )
    (total,), issues = parts(await call(server, "r-1", method="GET"))
    assert total["code"]["coding"][0] == {
        "system": f"{BASE}/CodeSystem/msk-score",
        "code": "oks.total",
        "display": "Oxford Knee Score total",
    }
    assert total["valueQuantity"] == {
        "value": 27,
        "unit": "score",
        "system": "http://unitsofmeasure.org",
        "code": "{score}",
    }
    assert total["status"] == "final"
    assert total["category"][0]["coding"][0]["code"] == "survey"
    assert total["subject"] == {"reference": "Patient/p-1"}
    assert total["effectiveDateTime"] == "2026-03-01T09:30:00Z"
    assert total["derivedFrom"] == [{"reference": "QuestionnaireResponse/r-1"}]
    assert total["basedOn"] == [{"reference": "CarePlan/c-1"}]
    assert total["performer"] == [{"reference": "RelatedPerson/carer"}]
    assert total["extension"] == [{"url": f"{BASE}/StructureDefinition/msk-timepoint", "valueCode": "baseline"}]
    assert (total["referenceRange"][0]["low"]["value"], total["referenceRange"][0]["high"]["value"]) == (0, 48)
    assert total["method"]["coding"][0]["code"] == "oks-sum-0-48-1.0.0"
    assert "q1 = 4, q2 = 3" in total["note"][1]["text"]
    assert "secondary" in total["note"][2]["text"]
    assert "interpretation" not in total
    assert [issue["severity"] for issue in issues][:2] == ["warning", "information"]
    assert await all_of(server, "Observation") == []


async def test_a_band_and_a_loinc_code(server: Server) -> None:
    (total,), _ = parts(await call(server, None, response("phq-9", [3, 3, 3, 1, 0, 0, 0, 0, 0])))
    assert total["interpretation"][0]["coding"][0]["code"] == "phq-9.moderate"
    assert {"system": "http://loinc.org", "code": "44261-6"} in total["code"]["coding"]
    assert "derivedFrom" not in total


async def test_an_inline_response_must_be_valid(server: Server) -> None:
    refused = await refusal(server, None, response("oks", [4] * 12, authored="then"))
    assert refused.status == 400


async def test_unverified_rules_need_the_setting(server: Server) -> None:
    body = response("oks", [3] * 10 + [None, None])
    refused = await refusal(server, None, body)
    assert (refused.status, [issue.code for issue in refused.issues]) == (422, ["required", "required"])
    server.settings.score_unverified = "allow"
    (total,), issues = parts(await call(server, None, body))
    assert (total["status"], total["valueQuantity"]["value"]) == ("preliminary", 36)
    assert total["interpretation"][0]["coding"][0]["code"] == "oks.mild"
    assert "incomplete" in [issue["code"] for issue in issues]


async def test_storing_is_idempotent(server: Server) -> None:
    await store(server, response("oks", [4] * 12))
    (first,), _ = parts(await call(server, "r-1", PERSIST))
    (again,), _ = parts(await call(server, "r-1", PERSIST))
    (stored,) = await all_of(server, "Observation")
    assert (stored.version_id, stored.logical_id) == (1, first["id"])
    assert again == first == parse(stored.body or b"", max_depth=100)


async def test_storing_at_the_same_time_stores_once(server: Server) -> None:
    await store(server, response("phq-9", [0] * 8 + [1]))
    await asyncio.gather(*(call(server, "r-1", PERSIST) for _ in range(8)))
    stored = [*await all_of(server, "Observation"), *await all_of(server, "Flag")]
    assert [version.version_id for version in stored] == [1, 1, 1]


async def test_an_amended_response_amends_its_score(server: Server) -> None:
    await store(server, response("oks", [4] * 12))
    await call(server, "r-1", PERSIST)
    await store(server, response("oks", [4] * 11 + [3], status="amended"))
    (amended,), _ = parts(await call(server, "r-1", PERSIST))
    (stored,) = await all_of(server, "Observation")
    assert stored.version_id == 2
    assert (amended["status"], amended["valueQuantity"]["value"]) == ("amended", 47)


async def test_two_responses_have_two_scores(server: Server) -> None:
    for logical_id in ("r-1", "r-2"):
        await store(server, response("oks", [4] * 12), logical_id)
        await call(server, logical_id, PERSIST)
    assert len(await all_of(server, "Observation")) == 2


async def test_item_9_stores_an_alert_and_a_flag(server: Server) -> None:
    await store(server, response("phq-9", [0] * 8 + [1]))
    (total, alert), issues = parts(await call(server, "r-1", PERSIST))
    assert (total["valueQuantity"]["value"], alert["valueInteger"]) == (1, 1)
    assert alert["code"]["coding"][0]["code"] == "phq-9.item9"
    assert issues[0]["severity"] == "warning"
    (flag,) = [parse(version.body or b"", max_depth=100) for version in await all_of(server, "Flag")]
    validate(flag)
    assert (flag["status"], flag["subject"]) == ("active", {"reference": "Patient/p-1"})
    assert flag["extension"][0]["valueReference"] == {"reference": "QuestionnaireResponse/r-1"}


@pytest.mark.parametrize(
    ("response_status", "alert_status"),
    [("in-progress", "preliminary"), ("completed", "final"), ("stopped", "final"), ("amended", "amended")],
)
async def test_an_alert_is_as_final_as_its_response(server: Server, response_status: str, alert_status: str) -> None:
    """R4 observation-status: preliminary is an initial or interim observation, to be completed or verified."""
    body = response("phq-9", [0] * 8 + [1], status=response_status)
    observations, issues = parts(await call(server, None, body))
    assert [observation["status"] for observation in observations] == [alert_status, alert_status]
    assert "answered 1" in issues[0]["diagnostics"]


async def test_the_alert_is_stored_when_the_score_is_refused(server: Server) -> None:
    await store(server, response("phq-9", [None] * 8 + [2]))
    refused = await refusal(server, "r-1", PERSIST)
    assert refused.status == 422
    (alert,) = await all_of(server, "Observation")
    (flag,) = await all_of(server, "Flag")
    assert f"Observation/{alert.logical_id}" in refused.issues[-1].diagnostics
    assert [issue.severity for issue in refused.issues] == ["error"] * 8 + ["warning", "information"]
    assert flag.version_id == 1


async def test_a_closed_flag_stays_closed(server: Server) -> None:
    await store(server, response("phq-9", [0] * 8 + [1]))
    await call(server, "r-1", PERSIST)
    (flag,) = await all_of(server, "Flag")
    await store(server, {**parse(flag.body or b"", max_depth=100), "status": "inactive"}, flag.logical_id)
    _, issues = parts(await call(server, "r-1", PERSIST))
    assert any(f"Flag/{flag.logical_id} was closed" in text for text in warned(issues))
    (flag,) = await all_of(server, "Flag")
    assert (flag.version_id, parse(flag.body or b"", max_depth=100)["status"]) == (2, "inactive")


async def test_a_response_in_error_stores_nothing(server: Server) -> None:
    await store(server, response("phq-9", [0] * 8 + [1], status="entered-in-error"))
    assert (await refusal(server, "r-1", PERSIST)).status == 422
    assert await all_of(server, "Observation") == await all_of(server, "Flag") == []


def test_the_definition_says_that_state_is_affected() -> None:
    """R4 OperationDefinition.affectsState: whether the operation affects state; persist does."""
    (score,) = (known for known in OPERATIONS if known.definition.code == "score")
    assert score.definition.affects_state


async def test_a_method_that_is_neither_get_nor_post(server: Server) -> None:
    refused = await refusal(server, "r-1", method="PUT")
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, POST")


async def the_alert(server: Server) -> dict[str, Any]:
    stored = [content(version) for version in await all_of(server, "Observation")]
    (alert,) = (found for found in stored if found["code"]["coding"][0]["code"] == "phq-9.item9")
    validate(alert)
    return alert


def content(version: StoredVersion) -> dict[str, Any]:
    found: dict[str, Any] = parse(version.body or b"", max_depth=100)
    return found


def warned(issues: list[dict[str, Any]]) -> list[str]:
    return [issue["diagnostics"] for issue in issues if issue["severity"] == "warning"]


async def test_an_alert_follows_an_amendment_down(server: Server) -> None:
    """R4 observation-status: amended is "modified subsequent to being final"."""
    await store(server, response("phq-9", [0] * 8 + [2]))
    await call(server, "r-1", PERSIST)
    await store(server, response("phq-9", [0] * 9, status="amended"))
    (total, lowered), issues = parts(await call(server, "r-1", PERSIST))
    alert = await the_alert(server)
    assert alert == lowered
    assert (alert["status"], alert["valueInteger"]) == ("amended", 0)
    assert [coding["code"] for coding in alert["interpretation"][0]["coding"]] == ["NEG"]
    assert total["valueQuantity"]["value"] == 0
    assert any("answered 2 before" in text and "reads 0 now" in text for text in warned(issues))
    (flag,) = await all_of(server, "Flag")
    assert (flag.version_id, content(flag)["status"]) == (1, "active")
    assert any(f"Flag/{flag.logical_id}" in text for text in warned(issues))

    _, again = parts(await call(server, "r-1", PERSIST))
    assert (await the_alert(server))["meta"]["versionId"] == "2"
    assert any(f"Flag/{flag.logical_id}" in text for text in warned(again)), "it stands as long as nobody closes it"


async def test_a_response_given_to_another_patient_flags_that_patient_too(server: Server) -> None:
    """The alert is about who answered; the Flag on the first patient is for a clinician to close, and is named."""
    await store(server, response("phq-9", [0] * 8 + [1]))
    await call(server, "r-1", PERSIST)
    await store(server, response("phq-9", [0] * 8 + [1], status="amended", subject={"reference": "Patient/p-2"}))
    for _ in range(2):
        _, issues = parts(await call(server, "r-1", PERSIST))
        flags = {content(version)["subject"]["reference"]: content(version) for version in await all_of(server, "Flag")}
        assert {patient: flag["status"] for patient, flag in flags.items()} == {
            "Patient/p-1": "active",
            "Patient/p-2": "active",
        }
        standing = f"Flag/{flags['Patient/p-1']['id']} on Patient/p-1 stands"
        assert any(standing in text for text in warned(issues))
    assert (await the_alert(server))["subject"] == {"reference": "Patient/p-2"}


async def test_an_alert_follows_an_amendment_down_when_the_score_is_refused(server: Server) -> None:
    await store(server, response("phq-9", [0] * 8 + [2]))
    (total, _), _ = parts(await call(server, "r-1", PERSIST))
    await store(server, response("phq-9", [None] + [0] * 8, status="amended"))
    refused = await refusal(server, "r-1", PERSIST)
    assert (await the_alert(server))["valueInteger"] == 0
    texts = [issue.diagnostics for issue in refused.issues if issue.severity == "warning"]
    assert any("reads 0 now" in text for text in texts)
    assert any(f"Observation/{total['id']}/_history/1 has no value any more" in text for text in texts)


@pytest.mark.parametrize("answer", [None, 8], ids=["none", "no option"])
async def test_an_alert_stands_when_the_amendment_has_no_readable_answer(server: Server, answer: int | None) -> None:
    await store(server, response("phq-9", [0] * 8 + [2]))
    await call(server, "r-1", PERSIST)
    before = await the_alert(server)
    await store(server, response("phq-9", [0] * 8 + [answer], status="amended"))
    refused = await refusal(server, "r-1", PERSIST)
    assert await the_alert(server) == before
    assert any(f"Observation/{before['id']}" in i.diagnostics and "stands" in i.diagnostics for i in refused.issues)


async def test_an_alert_raised_again_by_an_amendment(server: Server) -> None:
    for answer in (2, 0, 1):
        await store(server, response("phq-9", [0] * 8 + [answer], status="amended"))
        answered = parts(await call(server, "r-1", PERSIST))
    alert = await the_alert(server)
    assert (alert["valueInteger"], alert["interpretation"][0]["coding"][0]["code"]) == (1, "POS")
    assert not any("Observation/" in text for text in warned(answered[1])), "all versions were written here"


async def test_no_alert_is_made_of_a_zero(server: Server) -> None:
    await store(server, response("phq-9", [0] * 9))
    assert len(parts(await call(server, "r-1", PERSIST))[0]) == len(await all_of(server, "Observation")) == 1


async def test_the_scores_of_a_response_entered_in_error_are_too(server: Server) -> None:
    """R4 observation-status: entered-in-error is "withdrawn following previous final release"."""
    await store(server, response("phq-9", [0] * 8 + [2]))
    await call(server, "r-1", PERSIST)
    in_error = response("phq-9", [0] * 8 + [2], status="entered-in-error")
    del in_error["questionnaire"]
    await store(server, in_error)
    refused = await refusal(server, "r-1", PERSIST)
    stored = await all_of(server, "Observation")
    assert refused.status == 422
    assert [content(version)["status"] for version in stored] == ["entered-in-error"] * 2
    texts = " ".join(issue.diagnostics for issue in refused.issues)
    assert all(f"Observation/{version.logical_id}" in texts for version in stored)
    (flag,) = await all_of(server, "Flag")
    assert (flag.version_id, f"Flag/{flag.logical_id} on Patient/p-1 stands" in texts) == (1, True)
    await refusal(server, "r-1", PERSIST)
    assert [version.version_id for version in await all_of(server, "Observation")] == [2, 2]

    await store(server, response("phq-9", [0] * 8 + [2]))
    observations, issues = parts(await call(server, "r-1", PERSIST))
    assert [observation["status"] for observation in observations] == ["final", "final"]
    assert not any("Observation/" in text for text in warned(issues))


async def the_score(server: Server, logical_id: str) -> dict[str, Any]:
    return next(content(one) for one in await all_of(server, "Observation") if one.logical_id == logical_id)


@pytest.mark.parametrize("answers", [[4] * 6 + [None] * 6, [4] * 11 + [9]], ids=["too few", "no option"])
async def test_a_score_whose_answers_are_gone_has_no_value(server: Server, answers: list[int | None]) -> None:
    """R4 observation-status: amended. An amended response must not leave the value of its earlier answers."""
    await store(server, response("oks", [4] * 12))
    (total,), _ = parts(await call(server, "r-1", PERSIST))
    await store(server, response("oks", answers, status="amended"))
    refused = await refusal(server, "r-1", PERSIST)
    stored = await the_score(server, total["id"])
    validate(stored)
    assert stored["status"] == "amended"
    assert not stored.keys() & {"valueQuantity", "interpretation", "referenceRange"}
    assert stored["dataAbsentReason"]["coding"][1]["code"] == "no-longer-scored"
    assert refused.issues[0].diagnostics in stored["dataAbsentReason"]["text"]
    valued = f"Observation/{total['id']}/_history/1"
    assert any(valued in one.diagnostics and one.severity == "warning" for one in refused.issues)

    again = await refusal(server, "r-1", PERSIST)
    assert (await the_score(server, total["id"]))["meta"]["versionId"] == "2", "repeated it changes nothing"
    assert not any("Observation/" in one.diagnostics for one in again.issues)

    await store(server, response("oks", [3] * 12, status="amended"))
    (total,), issues = parts(await call(server, "r-1", PERSIST))
    assert (total["valueQuantity"]["value"], total["meta"]["versionId"]) == (36, "3")
    assert "dataAbsentReason" not in total
    assert not any("Observation/" in text for text in warned(issues))


async def test_every_score_whose_answers_are_gone_has_no_value(server: Server) -> None:
    await store(server, response("pcs", [2] * 13))
    scores, _ = parts(await call(server, "r-1", PERSIST))
    await store(server, response("pcs", [2] + [None] * 12, status="amended"))
    await refusal(server, "r-1", PERSIST)
    stored = [content(version) for version in await all_of(server, "Observation")]
    assert len(stored) == len(scores) == 4
    assert {one["dataAbsentReason"]["text"].partition(".")[2] for one in stored} == {
        " Item q2 has no answer: every item must be answered. $score names 11 more."
    }
    assert [one for one in stored if "valueQuantity" in one] == []


async def test_the_scores_of_another_questionnaire_have_no_value(server: Server) -> None:
    """The response was answered on another questionnaire than was said at first; an alert stands all the same."""
    await store(server, response("phq-9", [1] * 9))
    (total, alert), _ = parts(await call(server, "r-1", PERSIST))
    await store(server, response("oks", [4] * 12))
    _, issues = parts(await call(server, "r-1", PERSIST))
    assert "valueQuantity" not in await the_score(server, total["id"])
    assert await the_score(server, alert["id"]) == alert
    assert any(f"Observation/{total['id']}" in text and "no value" in text for text in warned(issues))
    assert any(f"Observation/{alert['id']}" in text and "stands" in text for text in warned(issues))


@pytest.mark.parametrize(
    "changed",
    [{"questionnaire": f"{BASE}/Questionnaire/oks|9"}, {"authored": "2999-01-01"}, {"questionnaire": f"{BASE}/x"}],
    ids=["version", "future", "unknown"],
)
async def test_a_score_stands_when_its_answers_were_not_looked_at(server: Server, changed: dict[str, Any]) -> None:
    """What is refused is the response as a whole: nothing is known of its answers."""
    await store(server, response("oks", [4] * 12))
    (total,), _ = parts(await call(server, "r-1", PERSIST))
    await store(server, response("oks", [4] * 12, status="amended", **changed))
    refused = await refusal(server, "r-1", PERSIST)
    assert await the_score(server, total["id"]) == total
    assert any(f"Observation/{total['id']}" in i.diagnostics and "stands" in i.diagnostics for i in refused.issues)


EQ_5D = {"mobility": 3, "self_care": 3, "usual_activities": 3, "pain_discomfort": 3, "anxiety_depression": 3}
DSU = "eq-5d-5l.index_uk_dsu_mapping"
WOMAN = {"resourceType": "Patient", "gender": "female", "birthDate": "1950-03-02"}


def by_age_and_sex(answer: Response) -> dict[str, Any]:
    observations, _ = parts(answer)
    return next(one for one in observations if one["code"]["coding"][0]["code"] == DSU)


def scoring_of(**values: Any) -> dict[str, Any]:
    """Parameters of $score with a whole EQ-5D-5L response."""
    whole = {**answered("eq-5d-5l", EQ_5D), **values.pop("elements", {})}
    named = [{"name": "response", "resource": whole}, *({"name": name, **value} for name, value in values.items())]
    return {"resourceType": "Parameters", "parameter": named}


async def test_a_subject_by_its_address_here_is_the_stored_patient(server: Server) -> None:
    """R4 references.html: an absolute reference to this server is one to its resource."""
    await store(server, WOMAN, "p-1")
    subject = {"subject": {"reference": f"{BASE_URL}/Patient/p-1"}}
    observation = by_age_and_sex(await call(server, None, scoring_of(elements=subject)))
    assert observation["valueQuantity"]["value"] == Decimal("0.445197")
    assert observation["subject"] == {"reference": "Patient/p-1"}


async def test_stored_scores_follow_the_stored_patient(server: Server) -> None:
    """A subject that says something else is refused, not ignored: scoring again would give another value."""
    given = scoring_of(subject={"resource": WOMAN}, persist={"valueBoolean": True})
    refused = await refusal(server, None, given)
    assert refused.status == 422
    assert "stored Patient" in refused.issues[0].diagnostics
    assert await all_of(server, "QuestionnaireResponse") == await all_of(server, "Observation") == []

    await store(server, {**WOMAN, "name": [{"family": "X"}]}, "p-1")
    assert by_age_and_sex(await call(server, None, given))["valueQuantity"]["value"] == Decimal("0.445197")


async def delete(server: Server, resource_type: str, logical_id: str) -> None:
    async def work(transaction: Transaction) -> None:
        await transaction.delete(resource_type, logical_id)

    await server.store.write(ALL, work)


async def test_no_score_is_stored_for_a_deleted_patient(server: Server) -> None:
    """R4 issue-type deleted: a reference points to content that has been deleted."""
    await store(server, {"resourceType": "Patient"}, "p-1")
    await delete(server, "Patient", "p-1")
    await store(server, response("phq-9", [0] * 8 + [2]))
    refused = await refusal(server, "r-1", PERSIST)
    assert refused.status == 422
    assert (refused.issues[0].code, refused.issues[0].expression) == (
        "deleted",
        "QuestionnaireResponse.subject.reference",
    )
    assert "answered 2" in refused.issues[1].diagnostics, "whoever asks is warned"
    assert await all_of(server, "Observation") == await all_of(server, "Flag") == []


async def test_a_score_is_withdrawn_for_a_deleted_patient_too(server: Server) -> None:
    await store(server, response("oks", [4] * 12))
    await call(server, "r-1", PERSIST)
    await store(server, {"resourceType": "Patient"}, "p-1")
    await delete(server, "Patient", "p-1")
    await store(server, response("oks", [4] * 12, status="entered-in-error"))
    await refusal(server, "r-1", PERSIST)
    (stored,) = await all_of(server, "Observation")
    assert content(stored)["status"] == "entered-in-error"


async def test_a_deleted_score_is_not_silently_stored_again(server: Server) -> None:
    await store(server, response("oks", [4] * 12))
    (total,), _ = parts(await call(server, "r-1", PERSIST))
    await delete(server, "Observation", total["id"])
    _, issues = parts(await call(server, "r-1", PERSIST))
    assert any(f"Observation/{total['id']} had been deleted" in text for text in warned(issues))
    _, issues = parts(await call(server, "r-1", PERSIST))
    assert not any("Observation/" in text for text in warned(issues))


@pytest.mark.parametrize(
    "edit", [{"status": "entered-in-error"}, {"valueQuantity": {"value": 3}}, {"note": [{"text": "x"}]}]
)
async def test_an_edited_score_is_not_silently_overwritten(server: Server, edit: dict[str, Any]) -> None:
    await store(server, response("oks", [4] * 12))
    (total,), _ = parts(await call(server, "r-1", PERSIST))
    label = {"system": "https://example.org/label", "code": "kept"}
    await store(server, {**total, **edit, "meta": {"tag": [label]}}, total["id"])
    (again,), issues = parts(await call(server, "r-1", PERSIST))
    assert again["valueQuantity"]["value"] == 48
    assert again["meta"]["tag"] == [label]
    assert any(f"Observation/{total['id']}/_history/2" in text for text in warned(issues))


async def test_an_amended_score_is_no_edited_one(server: Server) -> None:
    await store(server, response("oks", [4] * 12))
    await call(server, "r-1", PERSIST)
    await store(server, response("oks", [4] * 11 + [3], status="amended"))
    _, issues = parts(await call(server, "r-1", PERSIST))
    assert not any("Observation/" in text for text in warned(issues))


async def test_other_rules_give_a_new_version_and_say_why(server: Server) -> None:
    """R4 provenance.html: target, entity, reason, agent. What an older release stored is scored again."""
    await store(server, response("phq-9", [0] * 8 + [1]))
    (total, alert), _ = parts(await call(server, "r-1", PERSIST))
    rules = total["method"]["text"]
    for observation in (total, alert):
        old = {**observation, "method": {"text": "phq-9-sum-0-27 0.9.0 sha256:00"}}
        await store(server, old, observation["id"])
    for _ in range(2):
        again, issues = parts(await call(server, "r-1", PERSIST))
        assert [observation["meta"]["versionId"] for observation in again] == ["3", "3"]
        assert [observation["method"]["text"] for observation in again] == [rules, rules]
        assert not any("is replaced" in text for text in warned(issues))
        (why,) = [content(version) for version in await all_of(server, "Provenance")]
        validate(why)
    kept = [f"Observation/{observation['id']}/_history" for observation in (total, alert)]
    assert [target["reference"] for target in why["target"]] == [f"{one}/3" for one in kept]
    assert [(entity["role"], entity["what"]["reference"]) for entity in why["entity"]] == [
        ("source", "QuestionnaireResponse/r-1/_history/1"),
        ("revision", f"{kept[0]}/2"),
        ("revision", f"{kept[1]}/2"),
    ]
    assert why["reason"] == [{"text": f"Scored again by {rules}, before by phq-9-sum-0-27 0.9.0 sha256:00."}]
    assert why["agent"][0]["who"]["display"].startswith("fhir-server-msk ")


async def test_get_never_stores(server: Server) -> None:
    await store(server, response("oks", [4] * 12))
    refused = await refusal(server, "r-1", method="GET", query=(("persist", "true"),))
    assert (refused.status, refused.headers["Allow"]) == (405, "POST")


def sent(body: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "response", "resource": body}, *PERSIST["parameter"]]}


async def test_a_response_is_stored_with_its_scores(server: Server) -> None:
    (total, alert), issues = parts(await call(server, None, sent(response("phq-9", [0] * 8 + [2]))))
    (stored,) = await all_of(server, "QuestionnaireResponse")
    assert total["derivedFrom"] == alert["derivedFrom"] == [{"reference": f"QuestionnaireResponse/{stored.logical_id}"}]
    assert {version.logical_id for version in await all_of(server, "Observation")} == {total["id"], alert["id"]}
    assert len(await all_of(server, "Flag")) == len(await all_of(server, "Task")) == 1
    assert any("item 9" in issue["diagnostics"] for issue in issues)


async def test_a_response_with_an_id_is_stored_once(server: Server) -> None:
    """As by PUT (R4 http.html#update): the same again changes nothing, other answers amend."""
    for _ in range(2):
        (total,), _ = parts(await call(server, None, sent(response("oks", [4] * 12, id="own"))))
        assert total["derivedFrom"] == [{"reference": "QuestionnaireResponse/own"}]
        assert total["meta"]["versionId"] == "1"
    (total,), _ = parts(await call(server, None, sent(response("oks", [3] * 12, id="own", status="amended"))))
    assert (total["valueQuantity"]["value"], total["meta"]["versionId"]) == (36, "2")
    (stored,) = await all_of(server, "QuestionnaireResponse")
    assert (stored.logical_id, stored.version_id) == ("own", 2)


async def test_a_response_that_is_refused_is_not_stored(server: Server) -> None:
    refused = await refusal(server, None, sent(response("phq-9", [9] + [1] * 8)))
    assert refused.status == 422
    for kind in ("QuestionnaireResponse", "Observation", "Flag", "Task"):
        assert await all_of(server, kind) == []


async def test_the_questionnaire_may_be_named_by_the_caller(server: Server) -> None:
    body = response("oks", [4] * 12)
    del body["questionnaire"]
    canonical = f"{BASE}/Questionnaire/oks|1.0.0-neutral"
    given = [{"name": "response", "resource": body}, {"name": "questionnaire", "valueCanonical": canonical}]
    (total,), _ = parts(await call(server, None, {"resourceType": "Parameters", "parameter": given}))
    assert total["valueQuantity"]["value"] == 48


async def test_the_questionnaire_cannot_be_replaced(server: Server) -> None:
    await store(server, response("oks", [3] * 12))
    canonical = f"{BASE}/Questionnaire/phq-9|1.0.0-neutral"
    refused = await refusal(server, "r-1", method="GET", query=(("questionnaire", canonical),))
    assert (refused.status, refused.issues[0].expression) == (422, "QuestionnaireResponse.questionnaire")


@pytest.mark.parametrize("questionnaire", [None, "https://example.org/Questionnaire/other|1"])
async def test_a_questionnaire_without_a_definition(server: Server, questionnaire: str | None) -> None:
    body = response("oks", [4] * 12)
    del body["questionnaire"]
    await store(server, {**body, **({"questionnaire": questionnaire} if questionnaire else {})})
    refused = await refusal(server, "r-1", method="GET")
    assert (refused.status, refused.issues[0].expression) == (422, "QuestionnaireResponse.questionnaire")


async def test_a_response_that_is_not_here(server: Server) -> None:
    assert (await refusal(server, "nobody", method="GET")).status == 404
    assert (await refusal(server, "nobody", PERSIST)).status == 404


async def test_a_deleted_response(server: Server) -> None:
    await store(server, response("oks", [4] * 12))
    await delete(server, "QuestionnaireResponse", "r-1")
    assert (await refusal(server, "r-1", method="GET")).status == 410
    assert (await refusal(server, "r-1", PERSIST)).status == 410
