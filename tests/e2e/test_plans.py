"""Plans over HTTP on both engines, at days of our own: conditions, moves, and whom and when no plan can be made for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live_server import running_server

Json = dict[str, Any]
BASE = "https://fhir.example.org/msk"
KNEE = "knee-oa-arthroplasty-1.0.0"
DONE = {"status": "completed", "executionPeriod": {"end": "2026-03-02"}}
DECLINED = {"coding": [{"system": f"{BASE}/CodeSystem/msk-step-reason", "code": "declined"}]}


class Client:
    """Calls to a server whose clock is a file."""

    def __init__(self, base_url: str, clock: Path) -> None:
        self._http = httpx.Client(base_url=f"{base_url}/", timeout=60)
        self._clock = clock
        self._ids = iter(range(1, 10_000))

    def at(self, moment: str) -> None:
        self._clock.write_text(moment)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self._http.request(method, path, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def get(self, path: str) -> Json:
        answer = self.send("GET", path)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def put(self, resource: Json) -> Json:
        answer = self.send("PUT", f"{resource['resourceType']}/{resource['id']}", resource)
        assert answer.status_code in (200, 201), answer.text
        stored: Json = answer.json()
        return stored

    def patient(self, **more: Any) -> str:
        made = self.put(
            {"resourceType": "Patient", "id": f"plans-{next(self._ids)}", "birthDate": "1951-03-07", **more}
        )
        return f"Patient/{made['id']}"

    def apply(self, plan: str, subject: str, *given: Json, **anchors: str | None) -> httpx.Response:
        parameters = [{"name": "subject", "valueString": subject}, *given, *map(anchor, anchors.items())]
        body = {"resourceType": "Parameters", "parameter": parameters}
        return self.send("POST", f"PlanDefinition/{plan}/$apply", body, Prefer="return=representation")

    def plan(self, plan: str, subject: str, *given: Json, **anchors: str | None) -> Json:
        answer = self.apply(plan, subject, *given, **anchors)
        assert answer.status_code == 201, answer.text
        made: Json = answer.json()
        return made

    def replan(self, plan: Json, headers: dict[str, str] | None = None, /, **anchors: str | None) -> httpx.Response:
        parameters = [{"name": "reason", "valueString": "The list changed."}, *map(anchor, anchors.items())]
        body = {"resourceType": "Parameters", "parameter": parameters}
        return self.send("POST", f"CarePlan/{plan['id']}/$replan", body, **(headers or {}))

    def steps(self, plan: Json) -> dict[str, Json]:
        found = {}
        for activity in self.get(f"CarePlan/{plan['id']}").get("activity", []):
            step = self.get(activity["reference"]["reference"])
            (name,) = [e["valueString"] for e in step["extension"] if e["url"].endswith("/msk-step-action")]
            found[name] = step
        return found


def anchor(given: tuple[str, str | None]) -> Json:
    event, day = given
    parts: list[Json] = [{"name": "event", "valueCode": event.replace("_", "-")}]
    if day is not None:
        parts.append({"name": "date", "valueDate": day})
    return {"name": "anchor", "part": parts}


def place(event: str) -> str:
    return f"Parameters.parameter.where(name='anchor' and part.value='{event}')"


@pytest.fixture(scope="module")
def client(
    engine: str, new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("plans")
    clock = folder / "clock"
    clock.write_text("2026-03-02T10:00:00Z")
    with running_server(new_database(engine), folder, "--clock", str(clock), "--jobs-seconds", "0") as server:
        yield Client(server.base_url, clock)


@pytest.fixture(autouse=True)
def _today(client: Client) -> None:
    client.at("2026-03-02T10:00:00Z")


def issue_of(answer: httpx.Response, status: int) -> Json:
    assert answer.status_code == status, answer.text
    outcome: Json = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    issue: Json = outcome["issue"][0]
    return issue


def window(step: Json) -> tuple[str, str]:
    period = step["restriction"]["period"]
    return period["start"], period["end"]


# A pathway of our own, with what the shipped ones do not use.

ACTIVITIES = {
    "form": {"kind": "Task", "participant": [{"type": "patient"}], "code": {"text": "A form"}},
    "review": {"kind": "Task", "participant": [{"type": "practitioner"}], "code": {"text": "A review"}},
    "request": {"kind": "ServiceRequest", "code": {"text": "A request"}},
    "visit": {"kind": "Appointment", "code": {"text": "A visit"}},
}


def fhirpath(text: str) -> Json:
    return {"language": "text/fhirpath", "expression": text}


def when(text: str) -> list[Json]:
    return [{"kind": "applicability", "expression": fhirpath(text)}]


def days(number: int) -> Json:
    return {"value": number, "unit": "days", "system": "http://unitsofmeasure.org", "code": "d"}


def counted(event: str, offset: int = 0, before: int = 0, after: int = 7) -> list[Json]:
    structure = f"{BASE}/StructureDefinition"
    return [
        {
            "url": f"{structure}/msk-step-anchor",
            "extension": [{"url": "event", "valueCode": event}, {"url": "offset", "valueDuration": days(offset)}],
        },
        {
            "url": f"{structure}/msk-window",
            "extension": [
                {"url": "before", "valueDuration": days(before)},
                {"url": "after", "valueDuration": days(after)},
            ],
        },
    ]


def action(name: str, activity: str = "form", **more: Any) -> Json:
    made = {"id": name, "title": name, "definitionCanonical": f"{BASE}/ActivityDefinition/try-{activity}|1"}
    return {**made, **more}


def follows(name: str, offset: int = 0) -> list[Json]:
    return [{"actionId": name, "relationship": "after-end", "offsetDuration": days(offset)}]


def define(client: Client, name: str, *actions: Json, **more: Any) -> str:
    for activity, content in ACTIVITIES.items():
        url = f"{BASE}/ActivityDefinition/try-{activity}"
        client.put(
            {"resourceType": "ActivityDefinition", "id": f"try-{activity}", "url": url, "version": "1",
             "status": "active", **content}
        )  # fmt: skip
    definition = {"resourceType": "PlanDefinition", "id": name, "url": f"{BASE}/PlanDefinition/{name}", "version": "1",
                  "status": "active", "title": name, "action": list(actions), **more}  # fmt: skip
    client.put(definition)
    return name


def score(client: Client, subject: str, value: Any, code: str = "oks.total", **more: Any) -> None:
    client.put(
        {
            "resourceType": "Observation",
            "id": f"score-{subject.partition('/')[2]}-{code.replace('.', '-')}",
            "status": "final",
            "code": {"coding": [{"system": f"{BASE}/CodeSystem/msk-score", "code": code}]},
            "subject": {"reference": subject},
            "effectiveDateTime": "2026-02-20T09:00:00Z",
            **({"valueQuantity": {"value": value}} if isinstance(value, int) else {"valueCodeableConcept": value}),
            **more,
        }
    )


LOW = "%scores.where(code.coding.code = 'oks.total').value.ofType(Quantity).value < 30"


def branches(client: Client) -> str:
    return define(
        client,
        "try-branches",
        action("low", extension=counted("received"), condition=when(LOW)),
        action("high", extension=counted("received"), condition=when(f"({LOW}).not()")),
    )


def test_a_condition_over_a_stored_score_chooses_the_branch(client: Client) -> None:
    plan = branches(client)
    worse, better = client.patient(), client.patient()
    score(client, worse, 20)
    score(client, better, 40)
    assert set(client.steps(client.plan(plan, worse))) == {"low"}
    assert set(client.steps(client.plan(plan, better))) == {"high"}


def test_only_the_newest_score_of_the_side_counts(client: Client) -> None:
    plan, subject = branches(client), client.patient()
    side = {"url": f"{BASE}/StructureDefinition/msk-laterality", "valueCode": "left"}
    score(client, subject, 20, extension=[side])
    left = client.plan(plan, subject, {"name": "laterality", "valueCode": "left"})
    right = client.plan(plan, subject, {"name": "laterality", "valueCode": "right"})
    assert set(client.steps(left)) == {"low"}
    # No score of the right knee: nothing is lower than 30, and nothing is not.
    assert client.steps(right) == {}


def test_a_failing_expression_keeps_the_plan_and_flags_the_step(client: Client) -> None:
    plan = define(
        client,
        "try-failing",
        action("bad", extension=counted("received"), condition=when("gender + ")),
        action("request", "request", extension=counted("received"), condition=when("%nothing.exists()")),
        action("visit", "visit", extension=counted("received"), condition=when("name.given")),
        action("good", extension=counted("received")),
    )
    subject = client.patient(name=[{"given": ["Ada", "May"]}])
    body = {"resourceType": "Parameters", "parameter": [{"name": "subject", "valueString": subject}]}
    answer = client.send("POST", f"PlanDefinition/{plan}/$apply", body, Prefer="return=OperationOutcome")
    assert answer.status_code == 201
    warned = [issue for issue in answer.json()["issue"] if issue["severity"] == "warning"]
    assert [issue["expression"] for issue in warned] == [[f"PlanDefinition.action[{n}]"] for n in range(3)]
    stored = client.get(answer.headers["Location"].partition("/fhir/")[2])
    steps = client.steps(stored)
    assert steps["bad"]["status"] == steps["request"]["status"] == "draft"
    assert "restriction" not in steps["bad"]
    assert steps["good"]["status"] == "requested"
    assert steps["bad"]["statusReason"]["coding"][0]["code"] == "condition-failed"
    for name in ("request", "visit"):
        reasons = [e for e in steps[name]["extension"] if e["url"].endswith("/request-statusReason")]
        assert reasons[0]["valueCodeableConcept"]["coding"][0]["code"] == "condition-failed"


def test_a_failing_expression_is_tried_again(client: Client) -> None:
    plan = define(
        client, "try-again", action("a", extension=counted("received"), condition=when("name.given.single() = 'Ada'"))
    )
    subject = client.patient(name=[{"given": ["Ada", "May"]}])
    made = client.plan(plan, subject)
    assert client.steps(made)["a"]["status"] == "draft"
    client.put({"resourceType": "Patient", "id": subject.partition("/")[2], "name": [{"given": ["Ada"]}]})
    assert client.replan(made).status_code == 200
    step = client.steps(made)["a"]
    assert (step["status"], window(step)) == ("requested", ("2026-03-02", "2026-03-09"))
    assert "statusReason" not in step


def test_groups_dynamic_values_repeats_and_goals(client: Client) -> None:
    monthly = {"repeat": {"count": 3, "period": 1, "periodUnit": "mo"}}
    group = {
        "id": "group",
        "title": "Group",
        "condition": when("gender = 'female'"),
        "action": [
            action("monthly", extension=counted("received"), timingTiming=monthly),
            action(
                "request",
                "request",
                extension=counted("received"),
                dynamicValue=[
                    {
                        "path": "priority",
                        "expression": fhirpath("iif(birthDate < today() - 65 years, 'urgent', 'routine')"),
                    },
                    {"path": "note[0].text", "expression": fhirpath("'Born ' + birthDate.toString()")},
                    {"path": "reasonReference", "expression": fhirpath("{}")},
                ],
            ),
        ],
    }
    target = {"detailCodeableConcept": {"text": "unaided"}, "due": days(84)}
    goal = {"description": {"text": "Walk to the shop"}, "target": [target]}
    plan = define(client, "try-groups", group, goal=[goal])
    made = client.plan(plan, client.patient(gender="female"), received="2026-01-31")
    steps = client.steps(made)
    assert [window(steps[f"monthly#{n}"])[0] for n in (1, 2, 3)] == ["2026-01-31", "2026-02-28", "2026-03-31"]
    assert steps["request"]["priority"] == "urgent"
    assert steps["request"]["note"] == [{"text": "Born 1951-03-07"}]
    stored = client.get(made["goal"][0]["reference"])
    assert (stored["lifecycleStatus"], stored["description"]) == ("proposed", {"text": "Walk to the shop"})
    assert stored["target"] == [{"detailCodeableConcept": {"text": "unaided"}, "dueDuration": days(84)}]
    man = client.plan(plan, client.patient(gender="male"))
    assert "activity" not in man


def test_a_dynamic_value_that_does_not_fit_keeps_the_step(client: Client) -> None:
    value = [{"path": "priority", "expression": fhirpath("'very'")}]
    plan = define(client, "try-unfit", action("a", extension=counted("received"), dynamicValue=value))
    step = client.steps(client.plan(plan, client.patient()))["a"]
    assert step["statusReason"]["coding"][0]["code"] == "condition-failed"
    assert "priority" not in step


def test_a_path_that_the_resource_does_not_have(client: Client) -> None:
    value = [{"path": "colour", "expression": fhirpath("'red'")}]
    plan = define(client, "try-path", action("a", extension=counted("received"), dynamicValue=value))
    issue = issue_of(client.apply(plan, client.patient()), 422)
    assert issue["expression"] == ["PlanDefinition.action[0].dynamicValue[0].path"]


def test_what_follows_a_step_opens_when_it_is_done(client: Client) -> None:
    plan = define(
        client,
        "try-follow",
        action("a", extension=counted("received")),
        action("b", relatedAction=follows("a", 7), condition=when(LOW)),
        action("c", relatedAction=follows("b", 1)),
    )
    subject = client.patient()
    made = client.plan(plan, subject)
    assert {step["status"] for step in client.steps(made).values()} == {"requested", "draft"}
    first = client.steps(made)["a"]
    score(client, subject, 20)
    client.put({**first, "status": "completed", "executionPeriod": {"end": "2026-03-04"}})
    client.replan(made)
    assert window(client.steps(made)["b"]) == ("2026-03-11", "2026-03-11")


def test_what_does_not_apply_stands_down_with_what_follows_it(client: Client) -> None:
    plan = define(
        client,
        "try-stand-down",
        action("a", extension=counted("received")),
        action("b", "request", relatedAction=follows("a"), condition=when("false")),
        action("c", "visit", relatedAction=follows("b")),
    )
    made = client.plan(plan, client.patient())
    client.put({**client.steps(made)["a"], "status": "completed", "executionPeriod": {"end": "2026-03-04"}})
    client.replan(made)
    steps = client.steps(made)
    assert (steps["b"]["status"], steps["c"]["status"]) == ("revoked", "cancelled")
    assert steps["c"]["cancelationReason"]["coding"][0]["code"] == "not-applicable"


def test_the_plan_as_a_request_group_is_not_stored(client: Client) -> None:
    """R4 plandefinition-operation-apply.html: a CarePlan with a single activity represented by a RequestGroup."""
    group = {"id": "g", "title": "Group", "action": [action("b", relatedAction=follows("a"), condition=when(LOW))]}
    goal = {"description": {"text": "Walk to the shop"}}
    plan = define(client, "try-output", action("a", "request", extension=counted("received")), group, goal=[goal])
    subject = client.patient()
    client.plan(plan, subject)
    before = client.get("Task?_summary=count")["total"]
    answer = client.apply(plan, subject, {"name": "output", "valueCode": "requestgroup"})
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert "id" not in made
    assert made["activity"] == [{"reference": {"reference": "#request-group"}}]
    contained = {one["id"]: one for one in made["contained"]}
    first, second = contained["request-group"]["action"]
    assert first["resource"] == {"reference": "#step-1"}
    assert first["timingPeriod"] == {"start": "2026-03-02", "end": "2026-03-09"}
    assert second["action"][0]["condition"][0]["expression"]["expression"] == LOW
    assert contained["step-1"]["basedOn"] == [{"reference": "#"}]
    assert made["goal"] == [{"reference": "#goal-1"}]
    checked = client.send("POST", "CarePlan/$validate", made)
    assert all(issue["severity"] != "error" for issue in checked.json()["issue"]), checked.text
    assert client.get("Task?_summary=count")["total"] == before
    assert client.get(f"CarePlan?subject={subject}&_summary=count")["total"] == 1


def test_an_output_that_is_none(client: Client) -> None:
    issue = issue_of(client.apply(KNEE, client.patient(), {"name": "output", "valueCode": "bundle"}), 422)
    assert issue["code"] == "code-invalid"


# What cannot be.


def test_a_plan_that_uses_itself_by_another(client: Client) -> None:
    used = {"definitionCanonical": f"{BASE}/PlanDefinition/try-cycle-b|1"}
    using = {"definitionCanonical": f"{BASE}/PlanDefinition/try-cycle-a|1"}
    plan = define(client, "try-cycle-a", {**action("a"), **used})
    define(client, "try-cycle-b", {**action("b"), **using})
    issue = issue_of(client.apply(plan, client.patient()), 422)
    assert issue["code"] == "business-rule"
    assert "uses itself" in issue["diagnostics"]


def test_a_plan_of_plans(client: Client) -> None:
    define(client, "try-inner", action("x", extension=counted("received")), action("y", relatedAction=follows("x")))
    plan = define(client, "try-outer", {**action("a"), "definitionCanonical": f"{BASE}/PlanDefinition/try-inner|1"})
    assert set(client.steps(client.plan(plan, client.patient()))) == {"a.x", "a.y"}


def test_steps_that_wait_for_each_other(client: Client) -> None:
    plan = define(client, "try-loop", action("a", relatedAction=follows("b")), action("b", relatedAction=follows("a")))
    issue = issue_of(client.apply(plan, client.patient()), 422)
    assert issue["code"] == "business-rule"
    assert issue["expression"] == ["PlanDefinition.action[1].relatedAction[0].actionId"]


@pytest.mark.parametrize("canonical", ["try-form|2", "try-nothing|1", "try-form"])
def test_an_unknown_canonical_or_version(client: Client, canonical: str) -> None:
    plan = define(
        client, "try-unknown", {**action("a"), "definitionCanonical": f"{BASE}/ActivityDefinition/{canonical}"}
    )
    issue = issue_of(client.apply(plan, client.patient()), 422)
    assert issue["code"] == "not-found"
    assert issue["expression"] == ["PlanDefinition.action[0].definitionCanonical"]


@pytest.mark.parametrize("deceased", [{"deceasedBoolean": True}, {"deceasedDateTime": "2026-02-01"}])
def test_a_patient_who_died_gets_no_plan(client: Client, deceased: Json) -> None:
    issue = issue_of(client.apply(KNEE, client.patient(**deceased)), 422)
    assert (issue["code"], issue["expression"]) == (
        "business-rule",
        ["Parameters.parameter.where(name='subject').value"],
    )


def test_a_patient_who_left_the_digital_pathway_gets_no_plan(client: Client) -> None:
    """Until a later Consent permits it again."""
    subject = client.patient()
    consent(client, subject, "deny", "2026-02-01T09:00:00Z")
    issue = issue_of(client.apply(KNEE, subject), 422)
    assert (issue["code"], issue["expression"]) == (
        "business-rule",
        ["Parameters.parameter.where(name='subject').value"],
    )
    consent(client, subject, "permit", "2026-02-02T09:00:00Z")
    assert client.plan(KNEE, subject)["status"] == "active"


def consent(client: Client, subject: str, provision: str, moment: str) -> None:
    given = {
        "resourceType": "Consent",
        "id": f"{subject.partition('/')[2]}-{provision}",
        "status": "active",
        "scope": {"text": "patient privacy"},
        "category": [{"coding": [{"system": f"{BASE}/CodeSystem/msk-consent-category", "code": "pathway"}]}],
        "patient": {"reference": subject},
        "policyRule": {"text": "The patient's own choice."},
        "dateTime": moment,
        "provision": {"type": provision},
    }
    client.put(given)


def test_a_newborn_patient(client: Client) -> None:
    """Born today: no event can lie before, and today can be one."""
    subject = client.patient(birthDate="2026-03-02")
    issue = issue_of(client.apply(KNEE, subject, received="2026-03-01"), 422)
    assert issue["expression"] == [place("received")]
    assert client.plan(KNEE, subject)["period"] == {"start": "2026-03-02"}


def test_a_patient_of_a_hundred_years(client: Client) -> None:
    plan = define(
        client,
        "try-old",
        action("a", extension=counted("received"), condition=when("birthDate <= today() - 100 years")),
    )
    assert set(client.steps(client.plan(plan, client.patient(birthDate="1926-03-02")))) == {"a"}
    assert client.steps(client.plan(plan, client.patient(birthDate="1926-03-03"))) == {}


def test_an_event_on_a_leap_day(client: Client) -> None:
    """2028-02-29 and 365 days are 2029-02-28; a year of the calendar ends on it too."""
    yearly = {"repeat": {"count": 2, "period": 12, "periodUnit": "mo"}}
    plan = define(
        client,
        "try-leap",
        action("m12", extension=counted("operation", 365)),
        action("yearly", extension=counted("operation"), timingTiming=yearly),
    )
    steps = client.steps(client.plan(plan, client.patient(), operation="2028-02-29"))
    assert window(steps["m12"]) == ("2029-02-28", "2029-03-07")
    assert [window(steps[f"yearly#{n}"])[0] for n in (1, 2)] == ["2028-02-29", "2029-02-28"]


@pytest.mark.parametrize(
    ("now", "received"),
    [
        # British Summer Time begins on 2026-03-29 at 01:00 UTC and ends on 2026-10-25 at 01:00 UTC.
        ("2026-03-28T23:30:00Z", "2026-03-28"),
        ("2026-03-29T00:30:00Z", "2026-03-29"),
        ("2026-03-29T23:30:00Z", "2026-03-30"),
        ("2026-10-24T23:30:00Z", "2026-10-25"),
        ("2026-10-25T23:30:00Z", "2026-10-25"),
    ],
)
def test_a_day_around_the_change_of_the_clocks(client: Client, now: str, received: str) -> None:
    client.at(now)
    made = client.plan(KNEE, client.patient())
    assert made["period"] == {"start": received}
    assert client.steps(made)["welcome"]["status"] == "requested"


def test_a_window_over_the_change_of_the_clocks_has_whole_days(client: Client) -> None:
    plan = define(client, "try-clocks", action("a", extension=counted("received", 1, 1, 1)))
    assert window(client.steps(client.plan(plan, client.patient(), received="2026-10-24"))["a"]) == (
        "2026-10-24",
        "2026-10-26",
    )


# Moves.


def knee(client: Client, **anchors: str | None) -> Json:
    given = {"received": "2026-01-05", "accepted": "2026-01-09", "not_improving": "2026-02-20", "listed": "2026-02-23"}
    return client.plan(KNEE, client.patient(), **{**given, **anchors})


def test_an_operation_that_moves_takes_open_steps_along_and_leaves_those_done(client: Client) -> None:
    made = knee(client, operation="2026-03-10")
    before = client.steps(made)
    assert before["pre-op-oks"]["status"] == "requested"
    client.put({**before["pre-op-eq-5d-5l"], "status": "rejected", "statusReason": DECLINED})
    answer = client.replan(made, {"If_Match": 'W/"1"'}, operation="2026-09-01")
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == 'W/"2"'
    after = client.steps(made)
    # Available before, and its window lies in the future now.
    assert (after["pre-op-oks"]["status"], window(after["pre-op-oks"])) == ("draft", ("2026-07-07", "2026-08-31"))
    assert after["pre-op-eq-5d-5l"]["meta"]["versionId"] == "2"
    assert window(after["pre-op-eq-5d-5l"]) == window(before["pre-op-eq-5d-5l"])
    assert window(after["m6-oks"]) == ("2027-02-01", "2027-06-01")
    assert after["baseline-oks"] == before["baseline-oks"]
    assert before["baseline-oks"]["status"] == "failed"
    (why,) = client.get(f"Provenance?target=CarePlan/{made['id']}")["entry"]
    assert why["resource"]["reason"] == [{"text": "The list changed."}]
    changed = {target["reference"] for target in why["resource"]["target"]}
    assert f"CarePlan/{made['id']}/_history/2" in changed
    assert f"Task/{after['m6-oks']['id']}/_history/2" in changed
    assert len(changed) == 1 + sum(after[name] != before[name] for name in after) - 1
    assert client.get(f"CarePlan/{made['id']}/_history")["total"] == 2


def test_an_operation_that_is_called_off(client: Client) -> None:
    made = knee(client, operation="2026-03-10")
    assert client.replan(made, operation=None).status_code == 200
    step = client.steps(made)["pre-op-oks"]
    assert step["status"] == "draft"
    assert "restriction" not in step


def test_a_branch_not_taken_stands_down(client: Client) -> None:
    made = client.plan(KNEE, client.patient(), received="2026-01-05", accepted="2026-01-09")
    client.replan(made, improving="2026-02-20")
    step = client.steps(made)["decision-aid"]
    assert (step["status"], step["statusReason"]["coding"][0]["code"]) == ("cancelled", "other-branch")


@pytest.mark.parametrize(
    ("event", "day"),
    [("operation", "2026-02-01"), ("operation", "1940-01-01"), ("surgery", "2026-03-10"), ("surgery", None)],
)
def test_an_event_that_cannot_be_there(client: Client, event: str, day: str | None) -> None:
    made = knee(client)
    issue = issue_of(client.replan(made, **{event: day}), 422)
    assert (issue["code"], issue["expression"]) == ("business-rule", [place(event)])
    assert client.get(f"CarePlan/{made['id']}/_history")["total"] == 1


def test_an_event_earlier_than_the_referral(client: Client) -> None:
    subject = client.patient()
    referral = {"resourceType": "ServiceRequest", "id": f"referral-{subject.partition('/')[2]}", "status": "active",
                "intent": "order", "subject": {"reference": subject}, "authoredOn": "2026-02-10"}  # fmt: skip
    client.put(referral)
    named = {"name": "referral", "valueString": f"ServiceRequest/{referral['id']}"}
    issue = issue_of(client.apply(KNEE, subject, named, received="2026-02-09"), 422)
    assert (issue["code"], issue["expression"]) == ("business-rule", [place("received")])
    made = client.plan(KNEE, subject, named)
    assert made["period"] == {"start": "2026-02-10"}
    issue = issue_of(client.replan(made, received="2026-02-09"), 422)
    assert (issue["code"], issue["expression"]) == ("business-rule", [place("received")])


def test_half_a_date(client: Client) -> None:
    issue = issue_of(client.replan(knee(client), operation="2026-09"), 422)
    assert (issue["code"], issue["expression"]) == ("value", [place("operation")])


def test_a_stale_etag(client: Client) -> None:
    made = knee(client)
    client.replan(made, operation="2026-09-01")
    issue = issue_of(client.replan(made, {"If_Match": 'W/"1"'}, operation="2026-09-02"), 412)
    assert issue["code"] == "conflict"


@pytest.mark.parametrize("status", ["completed", "revoked", "on-hold", "draft"])
def test_a_plan_that_is_not_active(client: Client, status: str) -> None:
    made = knee(client)
    client.put({**made, "status": status})
    issue = issue_of(client.replan(made, operation="2026-09-01"), 422)
    assert (issue["code"], issue["expression"]) == ("business-rule", ["CarePlan.status"])


def test_a_second_active_plan_of_the_pathway(client: Client) -> None:
    subject = client.patient()
    client.plan(KNEE, subject)
    issue = issue_of(client.apply(KNEE, subject), 422)
    assert (issue["code"], issue["expression"]) == (
        "business-rule",
        ["Parameters.parameter.where(name='subject').value"],
    )


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("extension", [{"url": f"{BASE}/StructureDefinition/msk-anchor-date", "valueDate": "2026-01-05"}]),
        (
            "extension",
            [
                {
                    "url": f"{BASE}/StructureDefinition/msk-anchor-date",
                    "extension": [{"url": "event", "valueCode": "listed"}, {"url": "date", "valueDate": "2026"}],
                },
                {"url": f"{BASE}/StructureDefinition/msk-laterality", "valueString": "left"},
            ],
        ),
        ("activity", [{"detail": {"status": "not-started"}}, {"reference": {"display": "x"}}]),
        ("activity", [{"reference": {"reference": "Task/not-here"}}]),
        ("supportingInfo", [{"display": "x"}, {"reference": "ServiceRequest/not-here"}]),
    ],
)
def test_a_plan_that_was_written_by_halves_is_settled_as_far_as_it_goes(
    client: Client, element: str, value: Any
) -> None:
    made = knee(client)
    client.put({**made, element: value})
    assert client.replan(made, received="2026-01-06").status_code == 200
    assert client.get(f"CarePlan/{made['id']}")["period"]["start"] <= "2026-01-06"


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("extension", [{"url": f"{BASE}/StructureDefinition/msk-step-action", "valueString": "mine"}]),
        ("extension", None),
        ("for", {"reference": "Patient/somebody-else"}),
        ("basedOn", None),
        ("instantiatesCanonical", f"{BASE}/ActivityDefinition/another|1.0.0"),
        ("input", []),
        ("restriction", {"period": {"start": "2026-09-02", "end": "2026-09-01"}}),
    ],
)
def test_a_step_stays_the_step_that_it_is(client: Client, element: str, value: Any) -> None:
    made = knee(client, operation="2026-03-10")
    step = client.get(f"Task/{client.steps(made)['m6-oks']['id']}")
    changed = {key: one for key, one in step.items() if key != element} | ({element: value} if value else {})
    issue = issue_of(client.send("PUT", f"Task/{step['id']}", changed), 422)
    place = "Task.restriction.period" if element == "restriction" else f"Task.{element}"
    assert (issue["code"], issue["expression"]) == ("business-rule", [place])
    assert client.get(f"Task/{step['id']}") == step


def test_a_step_of_a_plan_is_not_deleted_alone(client: Client) -> None:
    made = knee(client, operation="2026-03-10")
    step = client.steps(made)["m6-oks"]
    assert issue_of(client.send("DELETE", f"Task/{step['id']}"), 409)["code"] == "business-rule"
    whole = [f"CarePlan/{made['id']}", *(one["reference"]["reference"] for one in made["activity"])]
    entries = [{"request": {"method": "DELETE", "url": url}} for url in whole]
    answer = client.send("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("canonicals", [None, [f"{BASE}/PlanDefinition/gone|1"], [f"{BASE}/PlanDefinition/{KNEE}"]])
def test_a_plan_whose_definition_is_not_here(client: Client, canonicals: list[str] | None) -> None:
    made = knee(client)
    client.put({**{k: v for k, v in made.items() if k != "instantiatesCanonical"},
                **({"instantiatesCanonical": canonicals} if canonicals else {})})  # fmt: skip
    issue = issue_of(client.replan(made, operation="2026-09-01"), 422)
    assert issue["expression"] == ["CarePlan.instantiatesCanonical"]


ONE_SIDED = ("carpal-tunnel", "shoulder-pain")
PATHWAYS = (
    "carpal-tunnel",
    "chronic-pain",
    "early-inflammatory-arthritis",
    "hip-oa-arthroplasty",
    "knee-oa-arthroplasty",
    "low-back-pain",
    "shoulder-pain",
)


@pytest.mark.parametrize("pathway", PATHWAYS)
def test_every_shipped_pathway_is_applied_and_settled_without_a_fault(client: Client, pathway: str) -> None:
    subject = client.patient(gender="female")
    parameters = [{"name": "subject", "valueString": subject}, anchor(("received", "2026-02-23"))]
    path = f"PlanDefinition/{pathway}-1.0.0/$apply"
    if pathway in ONE_SIDED:
        refused = issue_of(client.send("POST", path, {"resourceType": "Parameters", "parameter": parameters}), 422)
        assert refused["expression"] == ["Parameters.parameter.where(name='laterality').value"]
        parameters.append({"name": "laterality", "valueCode": "right"})
    body = {"resourceType": "Parameters", "parameter": parameters}
    answer = client.send("POST", path, body, Prefer="return=OperationOutcome")
    assert answer.status_code == 201, answer.text
    assert [issue for issue in answer.json()["issue"] if issue["severity"] == "warning"] == []
    made = client.get(answer.headers["Location"].partition("/fhir/")[2])
    assert client.replan(made).headers["ETag"] == 'W/"1"'
    for name, step in client.steps(made).items():
        if step["resourceType"] != "Task" or client.get(f"Task/{step['id']}")["status"] != "requested":
            continue
        mine = step["owner"] == step["for"] if "owner" in step else False
        ended = {"status": "rejected", "statusReason": DECLINED} if mine else DONE
        client.put({**client.get(f"Task/{step['id']}"), **ended})
        answer = client.send("POST", f"CarePlan/{made['id']}/$replan", Prefer="return=OperationOutcome")
        assert answer.status_code == 200, answer.text
        warned = [issue for issue in answer.json()["issue"] if issue["severity"] == "warning"]
        assert warned == [], f"{name}: {warned}"


def test_a_step_that_waits_for_nothing_can_be_done_at_any_time(client: Client) -> None:
    plan = define(client, "try-any-time", action("any"), action("request", "request"), action("visit", "visit"))
    steps = client.steps(client.plan(plan, client.patient()))
    assert {name: step["status"] for name, step in steps.items()} == {
        "any": "requested",
        "request": "active",
        "visit": "proposed",
    }
    assert "restriction" not in steps["any"]


def test_two_at_once_make_one_plan(client: Client) -> None:
    from concurrent.futures import ThreadPoolExecutor

    subject = client.patient()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.apply(KNEE, subject).status_code, range(4)))
    assert sorted(answers) == [201, 422, 422, 422]
    assert client.get(f"CarePlan?subject={subject}&_summary=count")["total"] == 1


def test_a_new_version_of_a_pathway_leaves_plans_of_the_old_one(client: Client) -> None:
    plan = define(client, "try-versions", action("a", extension=counted("received")))
    made = client.plan(plan, client.patient())
    newer = client.get(f"PlanDefinition/{plan}")
    client.put(
        {**newer, "id": "try-versions-2", "version": "2", "action": [action("b", extension=counted("received"))]}
    )
    client.put({**newer, "status": "retired"})
    client.replan(made, received="2026-03-05")
    assert window(client.steps(made)["a"])[0] == "2026-03-05"
    assert set(client.steps(client.plan("try-versions-2", client.patient()))) == {"b"}
    assert date.fromisoformat(window(client.steps(made)["a"])[1]) == date(2026, 3, 12)
