"""Hostile expressions and data end in an error that says why, soon, and without output."""

from __future__ import annotations

import inspect
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_server import fhirpath
from fhir_server.fhirpath import Budget, BudgetExceeded, EvaluationError, InvalidExpression

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"given": [f"g{n}" for n in range(50)]} for _ in range(50)],
    "birthDate": "1990-01-01",
}
TEN = "(1|2|3|4|5|6|7|8|9|10)"


def refusal(expression: str, resource: dict[str, Any], answered: str) -> str:
    """What the engine says when it refuses, or `answered`."""
    try:
        fhirpath.compile(expression).evaluate(resource)
    except (EvaluationError, InvalidExpression) as error:
        return str(error)
    return answered


@pytest.mark.parametrize(
    "expression",
    [
        # Each step doubles the items.
        "name.given" + ".combine(name.given)" * 100,
        "name.given" + ".select($this.combine($this))" * 30,
        # Nested loops over everything.
        "descendants().where(%resource.descendants().where(%resource.descendants().where(false).exists()).exists())",
        f"{TEN}.select({TEN}.select({TEN}.select({TEN}.select({TEN}.select({TEN}.select({TEN}.select(1)))))))",
        f"{TEN}.repeat($this + 1)",
        "name.repeatAll($this)",
        # Strings that double.
        f"({TEN}.combine({TEN})).combine({TEN}).aggregate($total & $total, 'abcdefgh')",
        "'aaaaaaaaaa'" + ".replace('a', 'aaaaaaaaaa')" * 8,
        "'a'" + ".replaceMatches('a', 'aaaaaaaaaaaaaaaaaaaa')" * 6,
        "name.given.join('" + "x" * 5000 + "')",
        "'a'" + ".escape('html').encode('hex')" * 25,
    ],
)
def test_growth_ends_in_too_costly(expression: str) -> None:
    started = time.monotonic()
    with pytest.raises(BudgetExceeded) as refused:
        fhirpath.compile(expression).evaluate(PATIENT)
    assert time.monotonic() - started < 6
    assert refused.value.issues[0].code == "too-costly"


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+$", "(a*)*b", "(.*a){25}", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y"]
)
def test_patterns_that_make_others_backtrack_run_in_linear_time(pattern: str) -> None:
    text = "a" * 50_000
    started = time.monotonic()
    fhirpath.compile("%text.matches(%pattern)").evaluate(PATIENT, {"text": text + "!", "pattern": pattern})
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("pattern", ["(", "a{100000}", "(?=a)", r"(a)\1", "[z-a]", "((a{100}){100}){100}", "a" * 6000])
def test_patterns_that_cannot_be_used_are_refused(pattern: str) -> None:
    with pytest.raises(EvaluationError, match="regular expression"):
        fhirpath.compile("'a'.matches(%pattern)").evaluate(PATIENT, {"pattern": pattern})


def test_budgets_are_the_callers() -> None:
    compiled = fhirpath.compile("name.given.where($this.length() > 0).count()")
    assert compiled.evaluate(PATIENT) == [2500]
    with pytest.raises(BudgetExceeded, match="steps"):
        compiled.evaluate(PATIENT, budget=Budget(steps=100))
    with pytest.raises(BudgetExceeded, match="items"):
        fhirpath.compile("name.given.combine('x').count()").evaluate(PATIENT, budget=Budget(items=100))
    with pytest.raises(BudgetExceeded, match="characters"):
        fhirpath.compile("'abc' & 'def'").evaluate(PATIENT, budget=Budget(string_length=5))
    slow = fhirpath.compile(f"{TEN}.select({TEN}.select({TEN}.select({TEN}.select({TEN}.select(1))))).count()")
    with pytest.raises(BudgetExceeded, match="seconds"):
        slow.evaluate(PATIENT, budget=Budget(seconds=0.001))


@pytest.mark.parametrize(
    "expression",
    [
        "2.power(2147483647)",
        "10.power(2147483647)",
        "1000000.exp()",
        "9.9.power(9999999)",
        "0.00000001.power(-2147483647)",
        "1" + "0" * 300 + ".0 * 1" + "0" * 300 + ".0",
        "@2012-01-01 + 2147483647 years",
        "@2012-01-01 - 2147483647 days",
        "1.round(2147483647)",
        "1.5.round(2147483647)",
        "1.lowBoundary(2147483647)",
        "'a'.substring(0, 2147483647)",
        "1 'm' * 1 'm' = 1 'm2'",
        "(1 'm' * 1" + "0" * 200 + ".0 'm')",
        "name.take(2147483647).count()",
        "name.skip(2147483647)",
        "'9999999999999999999999'.toInteger()",
        "('1' & 'e999999999').toDecimal()",
    ],
)
def test_large_numbers_cost_nothing(expression: str) -> None:
    started = time.monotonic()
    assert len(fhirpath.compile(expression).evaluate(PATIENT)) <= 1
    assert time.monotonic() - started < 1


def test_long_chains_end_in_an_error_or_an_answer() -> None:
    for expression in (
        "name" + ".first()" * 399,
        "true" + " and true" * 399,
        "(" * 55 + "1" + ")" * 55,
        "1" + " + 1" * 399,
        "name" + ".where(true" * 40 + ")" * 40,
    ):
        assert "nested" in refusal(expression, PATIENT, "nested")


def test_deep_recursion_is_a_clean_error() -> None:
    compiled = fhirpath.compile("name" + ".where(given.exists())" * 100)
    assert len(compiled.evaluate(PATIENT)) == 50

    def deep(levels: int) -> Any:
        return deep(levels - 1) if levels else compiled.evaluate(PATIENT)

    with pytest.raises(BudgetExceeded, match="nested"):
        deep(sys.getrecursionlimit() - len(inspect.stack()) - 60)


def test_trace_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert fhirpath.compile("birthDate.trace('secret', $this)").evaluate(PATIENT) == ["1990-01-01"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Patient", "name": "text"},
        {"resourceType": "Patient", "name": {"given": "one"}},
        {"resourceType": "Patient", "name": [["nested"]]},
        {"resourceType": "Patient", "name": [None, 3, True]},
        {"resourceType": "Patient", "name": [{"given": {"a": 1}}], "birthDate": 5, "_birthDate": "x"},
        {"resourceType": "Patient", "birthDate": ["2000"], "contact": {"name": []}, "_name": 3},
    ],
)
def test_data_of_another_shape_does_not_break_the_engine(resource: dict[str, Any]) -> None:
    for expression in (
        "name.given.first()",
        "name.where(use = 'official').given",
        "birthDate < today()",
        "descendants().count()",
        "name.given | contact.name.family",
        "name.exists(given.exists())",
        "birthDate.extension('x').value",
        "name.given.select($this.length())",
    ):
        assert "column" in refusal(expression, resource, "column")


@pytest.mark.parametrize("resource", [None, 3, [], {}, {"resourceType": 3}, {"resourceType": []}, "Patient"])
def test_what_is_no_resource_is_refused(resource: Any) -> None:
    with pytest.raises(EvaluationError, match="resource"):
        fhirpath.compile("name").evaluate(resource)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(EvaluationError, match="no type Unknown"):
        fhirpath.compile("name").evaluate({"resourceType": "Unknown"})


def test_results_are_not_the_resources_own_lists() -> None:
    patient = {"resourceType": "Patient", "name": [{"family": "A"}]}
    fhirpath.compile("name").evaluate(patient).append("x")
    fhirpath.compile("name.where(true)").evaluate(patient).append("x")
    fhirpath.compile("name.first() | name").evaluate(patient).append("x")
    assert patient == {"resourceType": "Patient", "name": [{"family": "A"}]}


def test_one_instant_for_an_evaluation_and_none_shared_between_threads() -> None:
    """N1 now(): the same within one evaluation; each thread gets its own."""
    compiled = fhirpath.compile("now() = now() and today() = now().toDate()")
    tell: Callable[[datetime], list[Any]] = lambda now: fhirpath.compile("now().toString()").evaluate(PATIENT, now=now)  # noqa: E731
    results: dict[int, Any] = {}

    def work(n: int) -> None:
        moment = datetime(2000 + n, 1, 1, tzinfo=UTC)
        results[n] = [tell(moment) == [f"{2000 + n}-01-01T00:00:00.000Z"] for _ in range(200)]
        results[n].append(compiled.evaluate(PATIENT) == [True])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(all(result) for result in results.values())
