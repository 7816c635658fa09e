"""What the steps of small pathways come to, by hand. No store."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_server.errors import FhirError
from fhir_server.pathways.definition import Pathway
from fhir_server.pathways.definition_reading import read_pathway
from fhir_server.pathways.expressions import Judge, needed
from fhir_server.pathways.resolve import Outcome, Progress, resolve

Json = dict[str, Any]
BASE = "https://fhir.example.org/msk"
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=ZoneInfo("Europe/London"))
PATIENT: Json = {"resourceType": "Patient", "id": "p", "gender": "female", "birthDate": "1951-03-07"}
ACTIVITY = f"{BASE}/ActivityDefinition/x|1"
DONE = Progress(over=True, done_on=date(2026, 4, 1))


def duration(days: int) -> Json:
    return {"value": days, "unit": "days", "system": "http://unitsofmeasure.org", "code": "d"}


def counted(event: str, offset: int = 0, before: int = 0, after: int = 0) -> list[Json]:
    return [
        {
            "url": f"{BASE}/StructureDefinition/msk-step-anchor",
            "extension": [{"url": "event", "valueCode": event}, {"url": "offset", "valueDuration": duration(offset)}],
        },
        {
            "url": f"{BASE}/StructureDefinition/msk-window",
            "extension": [
                {"url": "before", "valueDuration": duration(before)},
                {"url": "after", "valueDuration": duration(after)},
            ],
        },
    ]


def action(name: str, *, after: str | None = None, offset: int = 0, when: str | None = None, **more: Any) -> Json:
    made: Json = {"id": name, "definitionCanonical": ACTIVITY, **more}
    if "action" in more:
        del made["definitionCanonical"]
    if after:
        made["relatedAction"] = [{"actionId": after, "relationship": "after-end", "offsetDuration": duration(offset)}]
    if when:
        made["condition"] = [{"kind": "applicability", "expression": {"language": "text/fhirpath", "expression": when}}]
    return made


def pathway(*actions: Json, plans: dict[str, Json] | None = None, **more: Any) -> Pathway:
    return read_pathway(definition("top", *actions, **more), BASE, plans)


def definition(name: str, *actions: Json, **more: Any) -> Json:
    url = f"{BASE}/PlanDefinition/{name}"
    return {"resourceType": "PlanDefinition", "url": url, "version": "1", "action": list(actions), **more}


def outcomes(
    made: Pathway, anchors: dict[str, date] | None = None, /, facts: Json | None = None, **progress: Progress
) -> dict[str, Outcome]:
    return resolve(made, anchors or {}, Judge(PATIENT, facts or {}, NOW), progress)


def test_a_step_waits_for_the_end_of_another() -> None:
    made = pathway(action("a"), action("b", after="a", offset=7))
    assert outcomes(made)["b"] == Outcome()
    assert outcomes(made, a=DONE)["b"].due == date(2026, 4, 8)


def test_a_step_waits_for_all_it_follows() -> None:
    related = [
        {"actionId": "a", "relationship": "after"},
        {"actionId": "b", "relationship": "after", "offsetDuration": duration(1)},
    ]
    made = pathway(action("a"), action("b"), {**action("c"), "relatedAction": related})
    assert outcomes(made, a=DONE)["c"].due is None
    assert outcomes(made, a=DONE, b=Progress(over=True, done_on=date(2026, 3, 1)))["c"].due == date(2026, 4, 1)


def test_after_start_needs_no_end() -> None:
    related = [{"actionId": "a", "relationship": "after-start", "offsetDuration": duration(3)}]
    made = pathway(action("a", extension=counted("received")), {**action("b"), "relatedAction": related})
    assert outcomes(made, {"received": date(2026, 1, 1)})["b"].due == date(2026, 1, 4)


def test_a_missed_step_is_no_end() -> None:
    made = pathway(action("a"), action("b", after="a"))
    assert outcomes(made, a=Progress(over=True))["b"] == Outcome()


def test_what_follows_a_step_that_is_no_step_any_more_is_none_either() -> None:
    made = pathway(action("a", when="false"), action("b", after="a"), action("c", after="b"))
    assert {one.dropped for one in outcomes(made).values()} == {"not-applicable"}


def test_a_group_ends_with_its_last_step_and_passes_over_those_that_do_not_apply() -> None:
    group = action("g", action=[action("a"), action("b"), action("c", when="false")])
    made = pathway(group, action("d", after="g"))
    assert outcomes(made, a=DONE)["d"].due is None
    missed = Progress(over=True)
    assert outcomes(made, a=DONE, b=missed)["d"].due == date(2026, 4, 1)
    assert outcomes(made, a=missed, b=missed)["d"].due is None


def test_the_condition_and_the_start_of_a_group_are_those_of_its_steps() -> None:
    group = action("g", after="a", offset=2, when="gender = 'male'", action=[action("b"), action("c")])
    made = pathway(action("a"), group)
    assert outcomes(made)["b"] == Outcome()
    assert {outcomes(made, a=DONE)[key].dropped for key in "bc"} == {"not-applicable"}


def test_the_anchor_and_window_of_a_group_are_those_of_steps_without_their_own() -> None:
    group = action(
        "g", extension=counted("received", 7, 1, 2), action=[action("a"), action("b", extension=counted("listed"))]
    )
    found = outcomes(pathway(group), {"received": date(2026, 1, 1), "listed": date(2026, 2, 1)})
    assert (found["a"].window.start, found["a"].window.end) == (date(2026, 1, 7), date(2026, 1, 10))  # type: ignore[union-attr]
    assert found["b"].due == date(2026, 2, 1)


def test_a_condition_is_asked_when_the_start_is_known_and_not_before() -> None:
    made = pathway(action("a", when="false", extension=counted("received")))
    assert outcomes(made)["a"].dropped is None
    assert outcomes(made, {"received": date(2026, 1, 1)})["a"].dropped == "not-applicable"


def test_a_condition_is_not_asked_again() -> None:
    made = pathway(action("a", when="false", extension=counted("received")))
    found = outcomes(made, {"received": date(2026, 1, 1)}, a=Progress(decided=True))
    assert found["a"].due == date(2026, 1, 1)


@pytest.mark.parametrize("source", ["gender", "1 +", "nothing(", "%unknown.exists()", "(1 | 2)", "'yes'", "1"])
def test_an_expression_without_an_answer_keeps_the_step(source: str) -> None:
    found = outcomes(pathway(action("a", when=source, extension=counted("received"))), {"received": date(2026, 1, 1)})
    assert found["a"].dropped is None
    assert found["a"].window is None
    assert "PlanDefinition.action[0].condition[0].expression" in (found["a"].fault or "")


def test_nothing_is_not_true() -> None:
    assert outcomes(pathway(action("a", when="{}")))["a"].dropped == "not-applicable"


def test_an_expression_that_never_ends_is_stopped() -> None:
    """The budget of the FHIRPath engine."""
    found = outcomes(pathway(action("a", when="repeat(iif(true, 1 | 2 | $this)).repeat($this + 1).exists()")))
    assert found["a"].fault is not None


def test_facts() -> None:
    score = {"resourceType": "Observation", "code": {"coding": [{"code": "oks.total"}]}, "valueQuantity": {"value": 29}}
    when = "%scores.where(code.coding.code = 'oks.total').value.ofType(Quantity).value < 30"
    made = pathway(action("a", when=when))
    assert outcomes(made, facts={"scores": [score]})["a"] == Outcome()
    assert outcomes(made, facts={"scores": []})["a"].dropped == "not-applicable"
    assert needed(made.expressions) == {"scores"}


@pytest.mark.parametrize(
    "source", ["%today = @2026-03-02", "%patient.gender = 'female'", "today() = %today", "gender = 'female'"]
)
def test_the_facts_of_every_plan(source: str) -> None:
    made = pathway(action("a", when=source))
    assert outcomes(made)["a"] == Outcome()


def test_repeats() -> None:
    timing = {"repeat": {"count": 4, "period": 1, "periodUnit": "mo"}}
    found = outcomes(
        pathway(action("a", timingTiming=timing, extension=counted("diagnosis", 0, 0, 6))),
        {"diagnosis": date(2028, 1, 31)},
    )
    assert [one.due for one in found.values()] == [
        date(2028, 1, 31),
        date(2028, 2, 29),
        date(2028, 3, 31),
        date(2028, 4, 30),
    ]
    assert list(found) == ["a#1", "a#2", "a#3", "a#4"]


@pytest.mark.parametrize(
    ("repeat", "times"),
    [
        ({"count": 3, "period": 2, "periodUnit": "wk"}, 3),
        ({"boundsDuration": duration(28), "period": 1, "periodUnit": "wk"}, 4),
        ({"boundsDuration": duration(29), "period": 1, "periodUnit": "wk"}, 5),
        ({"boundsDuration": {"value": 1, "code": "a"}, "period": 3, "periodUnit": "mo"}, 4),
        ({"boundsDuration": {"value": 1, "code": "a"}, "count": 2, "period": 1, "periodUnit": "mo"}, 2),
    ],
)
def test_how_often(repeat: Json, times: int) -> None:
    assert len(pathway(action("a", timingTiming={"repeat": repeat})).steps) == times


@pytest.mark.parametrize(
    "repeat",
    [
        {"period": 1, "periodUnit": "d"},
        {"count": 501, "period": 1, "periodUnit": "d"},
        {"count": 2, "period": 1, "periodUnit": "h"},
        {"count": 2, "period": 1.5, "periodUnit": "d"},
        {"boundsDuration": duration(30), "period": 1, "periodUnit": "mo"},
        {"count": 2, "period": 1, "periodUnit": "d", "when": ["MORN"]},
    ],
)
def test_a_repeat_that_cannot_be(repeat: Json) -> None:
    with pytest.raises(FhirError) as refused:
        pathway(action("a", timingTiming={"repeat": repeat}))
    assert refused.value.issues[0].expression == "PlanDefinition.action[0].timing"


def test_what_follows_a_repeat_follows_its_last_time() -> None:
    timing = {"repeat": {"count": 2, "period": 1, "periodUnit": "wk"}}
    made = pathway(action("a", timingTiming=timing), action("b", after="a"))
    first, last = DONE, Progress(over=True, done_on=date(2026, 4, 9))
    assert outcomes(made, **{"a#1": first})["b"].due is None
    assert outcomes(made, **{"a#1": first, "a#2": last})["b"].due == date(2026, 4, 9)


def test_the_branch_that_an_event_excludes() -> None:
    order = {
        "url": f"{BASE}/StructureDefinition/msk-anchor-order",
        "extension": [
            {"url": "event", "valueCode": "improving"},
            {"url": "excludes", "valueCode": "not-improving"},
        ],
    }
    made = pathway(
        action("a", extension=counted("improving")), action("b", extension=counted("not-improving")), extension=[order]
    )
    assert outcomes(made)["b"].dropped is None
    assert outcomes(made, {"improving": date(2026, 1, 1)})["b"].dropped == "other-branch"


@pytest.mark.parametrize(
    "actions",
    [
        [action("a", after="a")],
        [action("a", after="b"), action("b", after="a")],
        [action("a", after="c"), action("b", after="a"), action("c", after="b")],
        [action("g", action=[action("a", after="g")])],
        [action("g", after="a", action=[action("a")])],
    ],
)
def test_steps_that_wait_for_each_other(actions: list[Json]) -> None:
    with pytest.raises(FhirError) as refused:
        pathway(*actions)
    (issue,) = refused.value.issues
    assert (refused.value.status, issue.code) == (422, "business-rule")
    assert (issue.expression or "").endswith(".relatedAction[0].actionId")


def test_a_step_that_is_not_there_cannot_be_followed() -> None:
    with pytest.raises(FhirError) as refused:
        pathway(action("a", after="nothing"))
    assert refused.value.issues[0].code == "not-found"


def test_two_actions_of_the_same_id() -> None:
    with pytest.raises(FhirError) as refused:
        pathway(action("a"), action("g", action=[action("a")]))
    assert refused.value.issues[0].expression == "PlanDefinition.action[1].action[0].id"


def test_a_chain_that_is_too_long() -> None:
    chain = [action(f"s{n}", after=f"s{n + 1}") for n in range(120)]
    with pytest.raises(FhirError) as refused:
        pathway(*chain, action("s120"))
    assert refused.value.issues[0].code == "too-costly"


def nested(name: str) -> str:
    return f"{BASE}/PlanDefinition/{name}|1"


def test_the_steps_of_a_plan_that_an_action_uses() -> None:
    other = definition("other", action("x"), action("y", after="x", offset=1))
    made = pathway(
        action("a", definitionCanonical=nested("other")), action("b", after="a"), plans={nested("other"): other}
    )
    assert [step.key for step in made.steps] == ["a.x", "a.y", "b"]
    assert outcomes(made, **{"a.x": DONE})["a.y"].due == date(2026, 4, 2)
    assert outcomes(made, **{"a.x": DONE, "a.y": DONE})["b"].due == date(2026, 4, 1)


def test_plans_that_use_each_other() -> None:
    other = definition("other", action("x", definitionCanonical=nested("top")))
    with pytest.raises(FhirError) as refused:
        pathway(action("a", definitionCanonical=nested("other")), plans={nested("other"): other})
    (issue,) = refused.value.issues
    assert (issue.code, issue.expression) == ("business-rule", "PlanDefinition.action[0].definitionCanonical")
    assert "uses itself" in issue.diagnostics


def test_a_plan_that_is_not_here() -> None:
    with pytest.raises(FhirError) as refused:
        pathway(action("a", definitionCanonical=nested("other")))
    assert refused.value.issues[0].code == "not-found"
