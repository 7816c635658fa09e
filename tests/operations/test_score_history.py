"""Patient $score-history: responses answered, scored, stored and read back as series, over HTTP on each engine."""

from __future__ import annotations

from itertools import count
from typing import Any

import httpx
import pytest

from fhir_server.operations import score_history
from tests.instruments.responses import BASE, response
from tests.operations.conftest import Operations, Put

Json = dict[str, Any]
PERSIST = {"resourceType": "Parameters", "parameter": [{"name": "persist", "valueBoolean": True}]}
SCORES = f"{BASE}/CodeSystem/msk-score"
_patients = count(1)

OKS_15 = [2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1]
OKS_22 = [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1]
OKS_18 = [2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1]


@pytest.fixture
def patient(base_url: str) -> str:
    logical_id = f"history-{next(_patients)}"
    httpx.put(
        f"{base_url}/Patient/{logical_id}", json={"resourceType": "Patient", "id": logical_id}, timeout=30
    ).raise_for_status()
    return logical_id


def score(
    base_url: str,
    patient: str,
    answers: list[int | None],
    day: str,
    *,
    instrument: str = "oks",
    side: str | None = None,
    timepoint: str | None = None,
    **elements: Any,
) -> str:
    """Store a response with its score; its id."""
    codes = {"msk-laterality": side, "msk-timepoint": timepoint}
    extensions = [
        {"url": f"{BASE}/StructureDefinition/{name}", "valueCode": code} for name, code in codes.items() if code
    ]
    logical_id = f"{patient}-{instrument}-{side}-{day}"
    body = response(
        instrument,
        answers,
        id=logical_id,
        subject={"reference": f"Patient/{patient}"},
        authored=day,
        **({"extension": extensions} if extensions else {}),
        **elements,
    )
    url = f"{base_url}/QuestionnaireResponse/{logical_id}"
    httpx.put(url, json=body, timeout=30).raise_for_status()
    scored = httpx.post(f"{url}/$score", json=PERSIST, timeout=30)
    assert scored.status_code == 200, scored.text
    return logical_id


def named(parts: list[Json], name: str) -> list[Json]:
    return [part for part in parts if part["name"] == name]


def value(part: Json) -> Any:
    (found,) = (content for key, content in part.items() if key.startswith("value"))
    return found


def read(parts: list[Json]) -> Json:
    """Parts that occur once, by name."""
    return {part["name"]: read(part["part"]) if "part" in part else value(part) for part in parts}


def series(base_url: str, patient: str, query: str) -> list[tuple[Json, list[Json]]]:
    """(facts, points) of each series."""
    answer = httpx.get(f"{base_url}/Patient/{patient}/$score-history?{query}", timeout=30)
    assert answer.status_code == 200, answer.text
    found = []
    for one in named(answer.json()["parameter"], "series"):
        facts = read([part for part in one["part"] if part["name"] not in ("point", "leftOut")])
        found.append((facts, [point["part"] for point in named(one["part"], "point")]))
    return found


def test_a_course_on_one_side(base_url: str, patient: str) -> None:
    score(base_url, patient, OKS_22, "2026-06-01", side="left", timepoint="m6")
    before = score(base_url, patient, OKS_15, "2025-12-01", side="left", timepoint="pre-op")
    ((facts, points),) = series(base_url, patient, "instrument=oks&score=total")
    possible = facts.pop("range")
    assert [(possible[end]["value"], possible[end]["code"]) for end in ("low", "high")] == [
        (0, "{score}"),
        (48, "{score}"),
    ]
    assert facts == {
        "score": {"system": SCORES, "code": "oks.total", "display": "Oxford Knee Score total"},
        "laterality": "left",
        "direction": "higher-better",
    }
    first = read([part for part in points[0] if part["name"] != "observation"])
    assert first["date"] == "2025-12-01"
    assert (first["status"], first["timePoint"], first["value"]["value"]) == ("final", "pre-op", 15)
    assert first["response"] == {"reference": f"QuestionnaireResponse/{before}"}
    assert first["noChange"]["code"] == "baseline"
    (change,) = named(points[1], "change")
    facts = read([part for part in change["part"] if part["name"] != "threshold"])
    assert facts["improvement"] == 7
    assert facts["baseline"] == value(named(points[0], "observation")[0])
    assert facts["baselineDate"] == "2025-12-01"
    thresholds = {value(part["part"][0]): read(part["part"]) for part in named(change["part"], "threshold")}
    # Beard 2015 for individuals after knee replacement, as questionnaires/oks/instrument.json has it
    assert {kind: (one["value"], one["met"]) for kind, one in thresholds.items()} == {
        "MIC": (7, True),
        "MDC90": (4, True),
    }
    assert thresholds["MIC"]["doi"] == "10.1016/j.jclinepi.2014.08.009"
    assert thresholds["MIC"]["evidence"] == "secondary"


def test_the_observations_that_are_named_are_there(base_url: str, patient: str) -> None:
    score(base_url, patient, OKS_15, "2026-01-01", side="left")
    ((_, (point,)),) = series(base_url, patient, "instrument=oks&score=total")
    facts = read(point)
    stored = httpx.get(f"{base_url}/{facts['observation']['reference']}", timeout=30).json()
    assert stored["valueQuantity"] == facts["value"]
    assert stored["effectiveDateTime"] == facts["date"]


def test_sides_are_series_of_their_own(base_url: str, patient: str) -> None:
    for side, answers, day in (
        ("left", OKS_15, "2026-01-01"),
        ("right", OKS_22, "2026-01-02"),
        ("left", OKS_18, "2026-02-01"),
    ):
        score(base_url, patient, answers, day, side=side)
    found = series(base_url, patient, "instrument=oks&score=total")
    assert [(facts["laterality"], len(points)) for facts, points in found] == [("left", 2), ("right", 1)]
    ((_, points),) = series(base_url, patient, "instrument=oks&score=total&laterality=left")
    assert read(named(points[1], "change")[0]["part"][:1])["improvement"] == 3


def test_a_side_left_out_makes_every_change_uncertain(base_url: str, patient: str) -> None:
    score(base_url, patient, OKS_15, "2026-01-01")
    score(base_url, patient, OKS_22, "2026-02-01", side="left")
    found = series(base_url, patient, "instrument=oks&score=total&laterality=left")
    assert [read(points[0])["noChange"]["code"] for _, points in found] == ["ambiguous-side"]


def test_higher_may_be_worse(base_url: str, patient: str) -> None:
    score(base_url, patient, [1] * 8 + [0], "2026-01-01", instrument="phq-9")
    score(base_url, patient, [2] * 8 + [0], "2026-02-01", instrument="phq-9")
    ((facts, points),) = series(base_url, patient, "instrument=phq-9&score=total")
    assert facts["direction"] == "higher-worse"
    assert "laterality" not in facts
    (change,) = (part["part"] for part in named(points[1], "change"))
    facts = read([part for part in change if part["name"] != "threshold"])
    assert (facts["improvement"], facts["display"]) == (-8, "-8")
    met = {one["kind"]: one["met"] for one in (read(part["part"]) for part in named(change, "threshold"))}
    assert not any(is_met for kind, is_met in met.items() if kind.startswith("MI"))  # getting worse reaches no MIC


def test_strata_and_scores_that_are_absent_are_points_without_a_change(base_url: str, patient: str) -> None:
    """STarT Back: risk follows from the total, which needs q1; the subscale does not (questionnaires/start-back)."""
    answers = [1, 1, 1, 1, 1, 1, 1, 1, 4]
    score(base_url, patient, answers, "2026-01-01", instrument="start-back")
    score(base_url, patient, [None, *answers[1:]], "2026-02-01", instrument="start-back")
    found = series(base_url, patient, "instrument=start-back")
    by_score = {facts["score"]["code"]: [read(point) for point in points] for facts, points in found}
    total, risk = by_score["start-back.total"], by_score["start-back.risk"]
    assert (total[0]["value"]["value"], "value" in total[1], "display" in total[1]) == (9, False, False)
    assert "q1" in total[1]["absent"]["text"]
    assert (total[0]["noChange"]["code"], total[1]["noChange"]["code"]) == ("baseline", "no-number")
    assert risk[0]["value"]["coding"][0]["code"] == "start-back.high"
    assert {point["noChange"]["code"] for point in risk} == {"no-number"}
    subscale = by_score["start-back.psych_subscale"]
    assert [point["value"]["value"] for point in subscale] == [5, 5]
    assert subscale[1]["change"]["improvement"] == 0


def test_withdrawn_scores_are_not_plotted(base_url: str, patient: str) -> None:
    wrong = score(base_url, patient, OKS_15, "2026-01-01", side="left")
    url = f"{base_url}/QuestionnaireResponse/{wrong}"
    body = httpx.get(url, timeout=30).json() | {"status": "entered-in-error"}
    httpx.put(url, json=body, timeout=30).raise_for_status()
    assert httpx.post(f"{url}/$score", json=PERSIST, timeout=30).status_code == 422
    answer = httpx.get(f"{base_url}/Patient/{patient}/$score-history?instrument=oks&score=total", timeout=30).json()
    (one,) = named(answer["parameter"], "series")
    assert named(one["part"], "point") == []
    assert read(named(one["part"], "leftOut")[0]["part"])["reason"] == "entered in error"


def test_an_in_progress_response_is_plotted_without_change(base_url: str, patient: str) -> None:
    score(base_url, patient, OKS_15, "2026-01-01", side="left")
    score(base_url, patient, OKS_22, "2026-02-01", side="left", status="in-progress")
    ((_, points),) = series(base_url, patient, "instrument=oks&score=total")
    facts = read(points[1])
    assert (facts["status"], facts["value"]["value"], facts["noChange"]["code"]) == ("preliminary", 22, "not-final")


def test_a_patient_without_scores_has_no_series(base_url: str, patient: str) -> None:
    assert series(base_url, patient, "instrument=oks") == []


def test_others_scores_are_not_there(base_url: str, patient: str) -> None:
    other = f"{patient}-other"
    httpx.put(f"{base_url}/Patient/{other}", json={"resourceType": "Patient", "id": other}, timeout=30)
    score(base_url, other, OKS_15, "2026-01-01", side="left")
    assert series(base_url, patient, "instrument=oks") == []


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("{patient}/$score-history", 400, "required"),
        ("{patient}/$score-history?instrument=none", 400, "value"),
        ("{patient}/$score-history?instrument=oks&score=none", 400, "value"),
        ("{patient}/$score-history?instrument=oks&laterality=up", 400, "value"),
        ("{patient}/$score-history?instrument=oks&instrument=phq-9", 400, "invalid"),
        ("{patient}/$score-history?instrument=oks&colour=red", 400, "invalid"),
        ("nobody/$score-history?instrument=oks", 404, "not-found"),
    ],
)
def test_what_it_cannot_do_is_refused(base_url: str, patient: str, path: str, status: int, code: str) -> None:
    answer = httpx.get(f"{base_url}/Patient/{path.format(patient=patient)}", timeout=30)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (status, code)


def test_it_is_in_the_capability_statement(base_url: str) -> None:
    statement = httpx.get(f"{base_url}/metadata", timeout=30).json()
    (patients,) = (one for one in statement["rest"][0]["resource"] if one["type"] == "Patient")
    assert "score-history" in {one["name"] for one in patients["operation"]}


async def test_what_others_wrote_under_a_scores_code(put: Put, operations: Operations) -> None:
    """An Observation without a method is like no other, one without a time is not plotted: nothing fails."""
    bare: Json = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": SCORES, "code": "oks.total"}]},
        "subject": {"reference": "Patient/p"},
    }
    await put(
        {"resourceType": "Patient", "id": "p"},
        {**bare, "id": "a", "effectiveDateTime": "2026-01-01", "valueQuantity": {"value": 10}},
        {**bare, "id": "b", "effectiveDateTime": "2026-02-01", "valueQuantity": {"value": 12}},
        {**bare, "id": "c", "effectiveDateTime": "2026-03-01", "valueQuantity": {"value": 12, "comparator": "<"}},
        {**bare, "id": "d", "effectiveDateTime": "2026-04-01", "valueString": "good"},
        {**bare, "id": "e", "valueQuantity": {"value": 12}},
    )
    answer = await operations.get("Patient/p/$score-history", ("instrument", "oks"), ("score", "total"))
    (one,) = named(answer["parameter"], "series")
    codes = [read(point["part"])["noChange"]["code"] for point in named(one["part"], "point")]
    assert codes == ["baseline", "other-rules", "no-number", "no-number"]
    assert read(named(one["part"], "leftOut")[0]["part"]) == {
        "observation": {"reference": "Observation/e"},
        "reason": "without effectiveDateTime",
    }


async def test_more_scores_than_are_read_are_refused(
    put: Put, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_history, "PAGE", 2)
    monkeypatch.setattr(score_history, "MOST", 3)
    scores = [
        {
            "resourceType": "Observation",
            "id": f"o{n}",
            "status": "final",
            "code": {"coding": [{"system": SCORES, "code": "oks.total"}]},
            "subject": {"reference": "Patient/p"},
            "effectiveDateTime": f"2026-01-0{n}",
            "valueQuantity": {"value": n},
        }
        for n in range(1, 5)
    ]
    await put({"resourceType": "Patient", "id": "p"}, *scores[:3])
    answer = await operations.get("Patient/p/$score-history", ("instrument", "oks"), ("score", "total"))
    (one,) = named(answer["parameter"], "series")
    assert [read(point["part"])["value"]["value"] for point in named(one["part"], "point")] == [1, 2, 3]
    await put(scores[3])
    with pytest.raises(Exception, match="more than 3") as refused:
        await operations.get("Patient/p/$score-history", ("instrument", "oks"), ("score", "total"))
    assert refused.value.issues[0].code == "too-costly"  # type: ignore[attr-defined]
