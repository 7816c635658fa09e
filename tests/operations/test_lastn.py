"""Observation $lastn (R4 observation-operation-lastn.html), over HTTP on each engine."""

from __future__ import annotations

from itertools import count
from typing import Any

import httpx
import pytest

from fhir_server.model.json import encode
from fhir_server.operations import lastn
from fhir_server.operations.code_groups import LatestByCode
from fhir_server.storage.base import StoredVersion
from tests.operations.conftest import Operations, Put

Json = dict[str, Any]
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
SYSTEM = "http://example.org/codes"
_patients = count(1)


@pytest.fixture
def patient() -> str:
    """The id of a patient of this test's own."""
    return f"lastn-{next(_patients)}"


def code(*codes: str, text: str = "") -> Json:
    concept: Json = {"coding": [{"system": SYSTEM, "code": one} for one in codes]} if codes else {}
    return concept | ({"text": text} if text else {})


def observation(logical_id: str, patient: str, concept: Json, when: str | None, **elements: Any) -> Json:
    dated = {"effectiveDateTime": when} if when else {}
    return {
        "resourceType": "Observation",
        "id": logical_id,
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": "survey"}]}],
        "code": concept,
        "subject": {"reference": f"Patient/{patient}"},
        **dated,
        **elements,
    }


def put_all(base_url: str, *resources: Json) -> None:
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in resources
    ]
    sent = httpx.post(base_url, json={"resourceType": "Bundle", "type": "transaction", "entry": entries}, timeout=30)
    assert sent.status_code == 200, sent.text


def ask(base_url: str, query: str) -> httpx.Response:
    return httpx.get(f"{base_url}/Observation/$lastn?{query}", timeout=30)


def ids(base_url: str, query: str) -> list[str]:
    answer = ask(base_url, query)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    entries = bundle.get("entry", [])
    assert (bundle["type"], bundle["total"]) == ("searchset", len(entries))
    assert all(entry["search"]["mode"] == "match" for entry in entries)
    return [entry["resource"]["id"] for entry in entries]


def test_the_most_recent_of_each_code_newest_first(base_url: str, patient: str) -> None:
    put_all(
        base_url,
        observation(f"{patient}-a1", patient, code("a"), "2026-01-01"),
        observation(f"{patient}-a2", patient, code("a"), "2026-03-01"),
        observation(f"{patient}-b1", patient, code("b"), "2026-02-01"),
        observation(f"{patient}-b0", patient, code("b"), "2025-12-31T23:00:00Z"),
        observation(f"{patient}-x", f"{patient}-other", code("a"), "2026-06-01"),
    )
    assert ids(base_url, f"patient={patient}&category=survey") == [f"{patient}-a2", f"{patient}-b1"]
    assert ids(base_url, f"subject=Patient/{patient}&category=survey&max=2") == [
        f"{patient}-{name}" for name in ("a2", "b1", "a1", "b0")
    ]
    assert ids(base_url, f"patient={patient}&code={SYSTEM}|a&max=1") == [f"{patient}-a2"]
    assert ids(base_url, f"patient={patient}&category=survey&date=lt2026-02-15") == [f"{patient}-b1", f"{patient}-a1"]


def test_it_can_be_posted(base_url: str, patient: str) -> None:
    put_all(base_url, *(observation(f"{patient}-{n}", patient, code("a"), f"2026-01-0{n}") for n in (1, 2, 3)))
    body = {"resourceType": "Parameters", "parameter": [{"name": "max", "valuePositiveInt": 2}]}
    sent = httpx.post(f"{base_url}/Observation/$lastn?patient={patient}&category=survey", json=body, timeout=30)
    assert [entry["resource"]["id"] for entry in sent.json()["entry"]] == [f"{patient}-3", f"{patient}-2"]


def test_equal_effective_times_are_all_returned(base_url: str, patient: str) -> None:
    """R4: "In case of a tie ... both will be returned", so more than max may come back."""
    days = {"1": "2026-01-01", "2": "2026-01-02", "3a": "2026-01-03", "3b": "2026-01-03", "4": "2026-01-04"}
    put_all(base_url, *(observation(f"{patient}-{n}", patient, code("a"), day) for n, day in days.items()))
    for query in (f"patient={patient}&category=survey&max=2", f"patient={patient}&code={SYSTEM}|a&max=2"):
        found = ids(base_url, query)
        assert found[0] == f"{patient}-4"
        assert sorted(found[1:]) == [f"{patient}-3a", f"{patient}-3b"]


def test_what_has_no_time_comes_last_and_ties_with_nothing(base_url: str, patient: str) -> None:
    put_all(
        base_url,
        *(observation(f"{patient}-u{n}", patient, code("a"), None) for n in range(3)),
        observation(f"{patient}-dated", patient, code("a"), "1999"),
    )
    found = ids(base_url, f"patient={patient}&category=survey&max=2")
    assert found[0] == f"{patient}-dated"
    assert len(found) == 2


def test_instants_and_periods_are_ordered_by_their_start(base_url: str, patient: str) -> None:
    put_all(
        base_url,
        observation(
            f"{patient}-p", patient, code("a"), None, effectivePeriod={"start": "2026-03-02", "end": "2026-03-09"}
        ),
        observation(f"{patient}-i", patient, code("a"), None, effectiveInstant="2026-03-03T10:00:00Z"),
        observation(f"{patient}-t", patient, code("a"), None, effectiveTiming={"event": ["2026-03-02"]}),
    )
    found = ids(base_url, f"patient={patient}&category=survey&max=2")
    assert found[0] == f"{patient}-i"
    assert sorted(found[1:]) == [f"{patient}-p", f"{patient}-t"]  # the same first moment: a tie


def test_statuses_are_not_left_out_unless_asked(base_url: str, patient: str) -> None:
    """R4: "If not explicitly filtered by status then will include statuses of 'entered-in-error'"."""
    put_all(
        base_url,
        observation(f"{patient}-1", patient, code("a"), "2026-01-01"),
        observation(f"{patient}-2", patient, code("a"), "2026-01-02", status="entered-in-error"),
    )
    assert ids(base_url, f"patient={patient}&category=survey") == [f"{patient}-2"]
    assert ids(base_url, f"patient={patient}&category=survey&status=final") == [f"{patient}-1"]


def test_no_match_is_an_empty_searchset(base_url: str) -> None:
    """R4: "SHALL return an empty search set with no error"."""
    assert ids(base_url, "patient=nobody&category=survey") == []


@pytest.mark.parametrize(
    ("query", "status", "code_"),
    [
        ("category=survey", 400, "required"),
        ("patient=p1", 400, "required"),
        ("patient=p1,p2&category=survey", 400, "required"),
        ("patient.name=Smith&category=survey", 400, "required"),
        ("patient=p1&status=final", 400, "required"),
        ("patient=p1&category=survey&max=0", 400, "value"),
        ("patient=p1&category=survey&max=1&max=2", 400, "invalid"),
        ("patient=p1&category=survey&_sort=date", 400, "not-supported"),
        ("patient=p1&category=survey&_count=3", 400, "not-supported"),
        ("patient=p1&category=survey&_include=Observation:subject", 400, "not-supported"),
        ("patient=p1&category=survey&_elements=code", 400, "not-supported"),
        ("patient=p1&category=survey&_cursor=abc", 400, "not-supported"),
        ("patient=p1&category=survey&colour=red", 400, "not-supported"),
        ("patient=p1&category=survey&date=yesterday", 400, "invalid"),
    ],
)
def test_what_it_cannot_do_is_refused(base_url: str, query: str, status: int, code_: str) -> None:
    answer = ask(base_url, query)
    issue = answer.json()["issue"][0]
    assert (answer.status_code, issue["code"]) == (status, code_), issue


def test_it_is_in_the_capability_statement(base_url: str) -> None:
    statement = httpx.get(f"{base_url}/metadata", timeout=30).json()
    (observations,) = (one for one in statement["rest"][0]["resource"] if one["type"] == "Observation")
    assert {
        "name": "lastn",
        "definition": "http://hl7.org/fhir/OperationDefinition/Observation-lastn",
    } in observations["operation"]


async def test_more_matches_than_are_walked_are_refused(
    put: Put, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lastn, "PAGE", 2)
    monkeypatch.setattr(lastn, "MOST_MATCHES", 4)
    await put(*(observation(f"o{n}", "p", code("a", f"b{n}"), f"2026-01-0{n + 1}") for n in range(5)))
    parameters = [("patient", "p"), ("category", "survey")]
    with pytest.raises(Exception, match="More than 4 Observations") as refused:
        await operations.send("GET", "Observation/$lastn", parameters)
    assert refused.value.issues[0].code == "too-costly"  # type: ignore[attr-defined]
    of_one_code = await operations.get("Observation/$lastn", ("patient", "p"), ("code", f"{SYSTEM}|a"))
    assert [entry["resource"]["id"] for entry in of_one_code["entry"]] == ["o4"]


def stored(concept: Json, when: str, number: int) -> StoredVersion:
    body = encode({"resourceType": "Observation", "code": concept, "effectiveDateTime": when})
    return StoredVersion("Observation", f"o{number}", 1, 0, "create", number, body)


R4_TABLE = [
    # concepts, and the number of groups that R4's page gives for them
    ([code("a"), code("b"), code("c")], 3),
    ([code("a"), code("b"), code("a", "c")], 2),
    ([code("a"), code("b"), code("a", "b")], 1),
    ([code(text="text"), code(text="Text"), code(text="t e x t")], 3),
]


@pytest.mark.parametrize(("concepts", "groups"), R4_TABLE)
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_groups_are_those_of_the_specification(concepts: list[Json], groups: int, order: tuple[int, ...]) -> None:
    latest = LatestByCode(1, "Europe/London")
    for number, index in enumerate(order):
        latest.add(stored(concepts[index], f"2026-01-{20 - number}", number))
    assert len(latest.versions()) == groups


def test_groups_that_an_older_observation_joins_keep_the_newest_of_both() -> None:
    """Codes are equal "following the transitive property": also when that is known only at the end."""
    latest = LatestByCode(2, "Europe/London")
    concepts = [code("a"), code("c"), code("a"), code("c"), code("b", "c"), code("a", "b")]
    for number, concept in enumerate(concepts):
        latest.add(stored(concept, f"2026-01-{20 - number}", number))
    assert [version.logical_id for version in latest.versions()] == ["o0", "o1"]


def test_the_same_code_of_another_system_is_another() -> None:
    latest = LatestByCode(1, "Europe/London")
    for number, system in enumerate((SYSTEM, "http://example.org/others")):
        latest.add(stored({"coding": [{"system": system, "code": "a"}]}, "2026-01-01", number))
    assert len(latest.versions()) == 2
