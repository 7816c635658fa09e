"""What decides a branch of the shipped pathways: answers go in over HTTP, steps open or fall away. Both engines."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.steps import Clinic, names, why
from tests.instruments.responses import answered

Json = dict[str, Any]
BASE = "https://fhir.example.org/msk"
FLAGS = (
    "cancer", "weight_loss", "fever", "night_pain", "injury", "numb_saddle", "bladder_bowel", "weakness", "hot_joint",
    "low_immunity",
)  # fmt: skip
RISK = {
    "low": {f"q{number}": 0 for number in range(1, 10)},
    "medium": {f"q{number}": int(number <= 4) for number in range(1, 10)},
    "high": {**{f"q{number}": 1 for number in range(1, 9)}, "q9": 4},
}
"""Total 0; total 4 with nothing of the psychosocial subscale; total 9 (Hill 2008, as start-back's page says)."""


class Plan:
    """A patient's plan on a clinic, referred and accepted on 2 March 2026."""

    def __init__(self, clinic: Clinic, pathway: str) -> None:
        self.clinic = clinic
        parameter: list[Json] = [
            {"name": "subject", "valueString": f"Patient/{clinic.patient}"},
            {"name": "laterality", "valueCode": "left"},
        ]
        parameter += [
            {
                "name": "anchor",
                "part": [{"name": "event", "valueCode": event}, {"name": "date", "valueDate": "2026-03-02"}],
            }
            for event in ("received", "accepted")
        ]
        answer = clinic.client.post(
            f"PlanDefinition/{pathway}-1.0.0/$apply", json={"resourceType": "Parameters", "parameter": parameter}
        )
        assert answer.status_code == 201, answer.text
        self.id = str(answer.json()["id"])

    @property
    def steps(self) -> dict[str, Json]:
        url = f"{BASE}/StructureDefinition/msk-step-action"
        query = {"_id": self.id, "_include": "CarePlan:activity-reference"}
        entries = self.clinic.client.get("CarePlan", params=query).json()["entry"]
        found = [entry["resource"] for entry in entries if entry["search"]["mode"] == "include"]
        # A step that was made once more is the later activity of its action.
        order = [one["reference"]["reference"] for one in entries[0]["resource"]["activity"]]
        found.sort(key=lambda step: order.index(f"{step['resourceType']}/{step['id']}"))
        return {next(e["valueString"] for e in step["extension"] if e["url"] == url): step for step in found}

    def states(self, *actions: str) -> list[str]:
        """Status of each, with the reason of one that fell away."""
        steps = self.steps
        return [" ".join(filter(None, (steps[one]["status"], _reason(steps[one])))) for one in actions]

    def event(self, name: str, day: str) -> None:
        part = [{"name": "event", "valueCode": name}, {"name": "date", "valueDate": day}]
        parameters = [{"name": "anchor", "part": part}, {"name": "reason", "valueString": "Seen in clinic."}]
        body = {"resourceType": "Parameters", "parameter": parameters}
        self.clinic.client.post(f"CarePlan/{self.id}/$replan", json=body).raise_for_status()

    def answer(self, action: str, form: str, item: list[Json]) -> list[Json]:
        """What the server says of it."""
        subject = {"reference": f"Patient/{self.clinic.patient}"}
        given = self.clinic.post(
            {
                "resourceType": "QuestionnaireResponse",
                "extension": [
                    names(self.steps[action]),
                    {"url": f"{BASE}/StructureDefinition/msk-laterality", "valueCode": "left"},
                    *(e for e in self.steps[action]["extension"] if e["url"].endswith("/msk-timepoint")),
                ],
                "questionnaire": f"{BASE}/Questionnaire/{form}|1.0.0-neutral",
                "status": "completed",
                "subject": subject,
                "authored": self.clinic.clock.read_text(),
                "item": item,
            }
        )
        assert given.status_code == 201, given.text
        return list(given.json()["issue"])

    def score(self, action: str, instrument: str, answers: Json) -> None:
        self.answer(action, instrument, answered(instrument, answers)["item"])

    def red_flags(self, *yes: str, without: str = "") -> list[Json]:
        given = [flag for flag in FLAGS if flag != without]
        return self.answer("red-flags", "msk-red-flags", [boolean(flag, value=flag in yes) for flag in given])

    def outcome(self, action: str, form: str, code: str) -> None:
        """A clinician's answer to a form of one choice."""
        coding = {"system": f"{BASE}/CodeSystem/{form}-answer", "code": code}
        self.answer(action, form, [{"linkId": "outcome", "answer": [{"valueCoding": coding}]}])


def boolean(link_id: str, *, value: bool) -> Json:
    return {"linkId": link_id, "answer": [{"valueBoolean": value}]}


def _reason(step: Json) -> str | None:
    if step["resourceType"] == "Task":
        return why(step)
    codings = step.get("cancelationReason", {}).get("coding", [])
    return next((str(one["code"]) for one in codings), None)


@pytest.fixture
def back(clinic: Clinic) -> Plan:
    return Plan(clinic, "low-back-pain")


def test_nothing_of_self_care_is_open_before_the_red_flags_are_answered(back: Plan) -> None:
    assert back.states("myths", "exercise-pack", "self-care") == ["draft", "draft", "draft"]
    back.score("baseline-start-back", "start-back", RISK["low"])
    assert back.states("myths", "exercise-pack", "self-care") == ["draft", "draft", "draft"]


def test_without_red_flags_the_advice_opens_and_nobody_is_called(back: Plan) -> None:
    back.red_flags()
    assert back.states("red-flags", "red-flag-review") == ["completed", "cancelled not-applicable"]
    assert back.states("myths", "exercise-pack") == ["requested", "requested"]
    assert back.steps["myths"]["restriction"]["period"] == {"start": "2026-03-02", "end": "2026-03-30"}
    assert back.clinic.found("Flag") == []


@pytest.mark.parametrize(("yes", "without"), [(("fever",), ""), ((), "numb_saddle")])
def test_a_red_flag_or_a_gap_stops_until_a_clinician_clears_it(back: Plan, yes: tuple[str, ...], without: str) -> None:
    back.red_flags(*yes, without=without)
    assert back.states("red-flag-review", "myths", "exercise-pack") == ["requested", "draft", "draft"]
    assert back.steps["red-flag-review"]["restriction"]["period"] == {"start": "2026-03-02", "end": "2026-03-02"}
    assert len(back.clinic.found("Flag")) == len(yes)
    back.clinic.now("2026-03-03T11:00:00+00:00")
    back.outcome("red-flag-review", "red-flag-outcome", "cleared")
    assert back.states("red-flag-review", "myths", "exercise-pack") == ["completed", "requested", "requested"]
    assert back.steps["myths"]["restriction"]["period"] == {"start": "2026-03-03", "end": "2026-03-31"}


def amended(plan: Plan, **changes: Any) -> Json:
    """The outcome of a PUT of the answers to the red flags as they are now."""
    responses = plan.clinic.found("QuestionnaireResponse")
    response = next(one for one in responses if "/msk-red-flags|" in one["questionnaire"])
    for item in response["item"]:
        if item["linkId"] in changes:
            item["answer"] = [{"valueBoolean": changes[item["linkId"]]}]
    response["status"] = changes.get("status", "amended")
    answer = plan.clinic.client.put(
        f"QuestionnaireResponse/{response['id']}", json=response, headers={"Prefer": "return=OperationOutcome"}
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_answers_amended_to_a_red_flag_stop_what_was_open(back: Plan) -> None:
    back.red_flags()
    first = back.steps
    assert back.states("red-flag-review", "myths") == ["cancelled not-applicable", "requested"]
    back.clinic.now("2026-03-03T11:00:00+00:00")
    amended(back, fever=True)
    assert back.states("red-flags", "red-flag-review", "myths", "exercise-pack") == [
        "completed", "requested", "draft", "draft",
    ]  # fmt: skip
    after = back.steps
    assert after["red-flag-review"]["id"] != first["red-flag-review"]["id"]
    assert after["myths"]["id"] == first["myths"]["id"]
    assert "restriction" not in after["myths"]
    assert len(back.clinic.found("Flag")) == 1
    back.outcome("red-flag-review", "red-flag-outcome", "cleared")
    assert back.states("red-flag-review", "myths", "exercise-pack") == ["completed", "requested", "requested"]


def test_a_step_whose_definition_is_gone_is_told_of(back: Plan) -> None:
    """It is to be made once more, and cannot be: the amended answers are stored, and the rest is decided."""
    back.red_flags()
    path = "ActivityDefinition/review-red-flags-1.0.0"
    definition = back.clinic.read(path)
    back.clinic.client.delete(path).raise_for_status()
    try:
        issues = amended(back, fever=True)["issue"]
    finally:
        back.clinic.client.put(path, json=definition).raise_for_status()
    assert any("there is no" in one["diagnostics"] and one["severity"] == "warning" for one in issues)
    assert back.states("red-flag-review", "myths") == ["cancelled not-applicable", "draft"]


def test_answers_in_error_are_no_answers(back: Plan) -> None:
    """Missing answers are for a clinician, as red flags are."""
    back.red_flags()
    amended(back, status="entered-in-error")
    assert back.states("red-flag-review", "myths") == ["requested", "draft"]


def test_answers_that_take_the_place_of_those_in_error_decide_again(back: Plan) -> None:
    back.red_flags()
    amended(back, status="entered-in-error")
    back.red_flags("fever")
    assert back.states("red-flag-review", "myths") == ["requested", "draft"]
    assert len(back.clinic.found("Flag")) == 1


def test_a_red_flag_that_was_a_slip_stays_with_who_was_asked(back: Plan) -> None:
    """The review was asked of a clinician, who ends it; nobody takes it away behind their back."""
    back.red_flags("fever")
    issues = amended(back, fever=False)["issue"]
    assert back.states("red-flag-review", "myths") == ["requested", "draft"]
    review = back.steps["red-flag-review"]["id"]
    assert any(review in issue["diagnostics"] and issue["severity"] == "warning" for issue in issues)


def test_what_has_been_done_stays_when_answers_are_amended(back: Plan) -> None:
    back.red_flags()
    back.score("baseline-start-back", "start-back", RISK["low"])
    answered_before = back.steps["baseline-start-back"]
    amended(back, fever=True)
    assert back.steps["baseline-start-back"] == answered_before
    entries = back.clinic.client.get("Provenance", params={"target": f"CarePlan/{back.id}"}).json()["entry"]
    said = {reason["text"] for entry in entries for reason in entry["resource"].get("reason", ())}
    assert f"The answers of Task/{back.steps['red-flags']['id']} have changed." in said


def test_who_sends_a_red_flag_is_told_at_once(back: Plan) -> None:
    (warning,) = [one for one in back.red_flags("numb_saddle") if one["severity"] == "warning"]
    assert warning["expression"] == ["QuestionnaireResponse.item.where(linkId='numb_saddle')"]
    assert "a Task for a clinician" in warning["diagnostics"]


def test_red_flags_that_are_not_cleared_end_self_care_and_every_branch(back: Plan) -> None:
    back.score("baseline-start-back", "start-back", RISK["low"])
    back.red_flags("bladder_bowel")
    back.outcome("red-flag-review", "red-flag-outcome", "urgent")
    after = back.states("myths", "exercise-pack", "rate-myths", "self-care", "w6-check", "physiotherapy", "combined")
    assert set(after) == {"cancelled not-applicable"}


BRANCHES = {"low": ["self-care", "w6-check"], "medium": ["physiotherapy"], "high": ["combined"]}


@pytest.mark.parametrize("risk", RISK)
@pytest.mark.parametrize("flags_first", [True, False])
def test_the_risk_group_decides_the_treatment(back: Plan, risk: str, flags_first: bool) -> None:
    """Whichever is answered first."""
    if flags_first:
        back.red_flags()
    back.score("baseline-start-back", "start-back", RISK[risk])
    if not flags_first:
        back.red_flags()
    others = [step for other, steps in BRANCHES.items() if other != risk for step in steps]
    assert set(back.states(*others)) == {"cancelled not-applicable"}
    assert set(back.states(*BRANCHES[risk])) <= {"requested", "proposed"}
    if risk == "low":
        check = back.steps["w6-check"]["requestedPeriod"]
        assert check == [{"start": "2026-04-06", "end": "2026-04-27"}]


@pytest.mark.parametrize(("now", "state"), [(5, "cancelled not-applicable"), (6, "requested"), (7, "requested")])
def test_no_better_after_twelve_weeks_goes_to_spinal_triage(back: Plan, now: int, state: str) -> None:
    """Roland-Morris 6 of 24 at baseline."""
    back.score("baseline-rmdq", "rmdq", {f"q{number}": int(number <= 6) for number in range(1, 25)})
    back.clinic.now("2026-05-25T09:00:00+01:00")
    back.score("m3-rmdq", "rmdq", {f"q{number}": int(number <= now) for number in range(1, 25)})
    assert back.states("spinal-triage") == [state]


@pytest.mark.parametrize(("yes", "state"), [(3, "requested"), (4, "cancelled not-applicable")])
@pytest.mark.parametrize("pathway", ["knee-oa-arthroplasty", "hip-oa-arthroplasty"])
def test_a_patient_who_is_not_sure_of_the_decision_is_spoken_to(
    clinic: Clinic, pathway: str, yes: int, state: str
) -> None:
    """SURE: less than four times yes (Légaré 2010)."""
    plan = Plan(clinic, pathway)
    assert plan.states("decision-talk") == ["draft"]
    plan.event("not-improving", "2026-03-02")
    plan.score("sure", "sure", {f"q{number}": int(number <= yes) for number in range(1, 5)})
    assert plan.states("sure", "decision-talk") == ["completed", state]


SHOULDER = {
    "self-care": "come-back",
    "physiotherapy": "physiotherapy",
    "injection": "injection",
    "surgical-opinion": "orthopaedic-appointment",
}


@pytest.mark.parametrize("outcome", [*SHOULDER, "discharge"])
def test_the_clinician_decides_how_a_shoulder_goes_on(clinic: Clinic, outcome: str) -> None:
    plan = Plan(clinic, "shoulder-pain")
    plan.clinic.now("2026-04-14T09:00:00+01:00")
    plan.outcome("w6-review", "review-outcome", outcome)
    steps = plan.steps
    opened = {code for code, action in SHOULDER.items() if steps[action]["status"] not in ("cancelled", "revoked")}
    assert opened == {outcome} & set(SHOULDER)


@pytest.mark.parametrize(
    ("level", "states"),
    [
        (1, ["requested", "requested", "cancelled not-applicable"]),
        (3, ["cancelled not-applicable", "cancelled not-applicable", "requested"]),
    ],
)
def test_a_hand_that_is_better_goes_home(clinic: Clinic, level: int, states: list[str]) -> None:
    """Every item at 3 at baseline."""
    plan = Plan(clinic, "carpal-tunnel")
    links = [f"sss{number}" for number in range(1, 12)] + [f"fss{number}" for number in range(1, 9)]
    plan.score("baseline-bctq", "bctq", dict.fromkeys(links, 3))
    plan.clinic.now("2026-04-13T09:00:00+01:00")
    plan.score("w6-bctq", "bctq", dict.fromkeys(links, level))
    assert plan.states("come-back", "discharge-review", "w6-review") == states


def diagnosed(clinic: Clinic, code: str) -> Plan:
    plan = Plan(clinic, "early-inflammatory-arthritis")
    coding = {"system": f"{BASE}/CodeSystem/arthritis-diagnosis-answer", "code": code}
    plan.event("diagnosis", "2026-03-02")
    plan.answer(
        "record-diagnosis", "arthritis-diagnosis", [{"linkId": "diagnosis", "answer": [{"valueCoding": coding}]}]
    )
    return plan


@pytest.mark.parametrize(("code", "asked"), [("psoriatic", "psaid"), ("axial", "basdai"), ("rheumatoid", None)])
def test_the_diagnosis_decides_which_instrument_is_asked(clinic: Clinic, code: str, asked: str | None) -> None:
    plan = diagnosed(clinic, code)
    for name in ("psaid", "basdai"):
        state = ["requested", "draft"] if name == asked else ["cancelled not-applicable"] * 2
        assert plan.states(f"baseline-{name}", f"m12-{name}") == state
    assert plan.states("monthly-rapid3#1") == ["draft"]


def test_a_flare_is_reported_at_any_time_and_somebody_answers(clinic: Clinic) -> None:
    plan = Plan(clinic, "early-inflammatory-arthritis")
    plan.clinic.now("2026-08-01T20:00:00+01:00")
    answers = [
        {"linkId": "since", "answer": [{"valueDate": "2026-07-30"}]},
        *({"linkId": link, "answer": [{"valueInteger": 7}]} for link in ("joints", "severity")),
        *(boolean(link, value=False) for link in ("fever", "missed", "side_effect")),
    ]
    plan.answer("flare", "flare", answers)
    assert plan.states("flare", "flare-advice") == ["completed", "requested"]
    assert plan.steps["flare-advice"]["restriction"]["period"] == {"start": "2026-08-01", "end": "2026-08-02"}
