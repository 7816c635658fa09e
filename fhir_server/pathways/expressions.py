"""Conditions and dynamic values of a pathway, evaluated over what is known of the patient.

The focus is the Patient; FACTS are the variables. R4 metadatatypes.html#Expression, plandefinition.html.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fhir_server.errors import FhirError
from fhir_server.fhirpath import Budget
from fhir_server.fhirpath import compile as compile_expression
from fhir_server.fhirpath.ast import External, nodes_of
from fhir_server.fhirpath.temporal import parse_date
from fhir_server.pathways.definition import Expression, Step

Json = dict[str, Any]

FACTS = ("patient", "scores", "baseline", "responses", "referral", "today")

EXPRESSION = Budget(steps=50_000, seconds=0.5)
"""What one expression may cost: a hundred times what a plan's conditions take over a long record."""
PLAN_SECONDS = 2.0
"""What all expressions of a plan may take together."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the expressions of a step say."""

    applies: bool = True
    values: tuple[tuple[str, list[Any]], ...] = ()
    """Path and values of each dynamic value."""
    fault: str | None = None
    """Why they say nothing."""


class Failed(Exception):
    """An expression that gives no answer."""


def no_expressions(step: Step) -> Verdict:
    """The judge of a pathway that asks nothing."""
    assert not step.expressions
    return Verdict()


@dataclass(slots=True)
class Judge:
    """Evaluates the steps of one plan at one moment, each expression once."""

    patient: Json
    facts: Mapping[str, Any]
    now: datetime
    _known: dict[str, list[Any] | Failed] = field(default_factory=dict)
    _spent: float = 0.0

    def __call__(self, step: Step) -> Verdict:
        try:
            if not all(self._holds(condition) for condition in step.conditions):
                return Verdict(applies=False)
            return Verdict(values=tuple((v.path, self._evaluate(v.expression)) for v in step.dynamic_values))
        except Failed as failure:
            return Verdict(fault=str(failure))

    def _holds(self, condition: Expression) -> bool:
        """R4 action-condition-kind: whether the action applies. Nothing is not true."""
        found = self._evaluate(condition)
        if found in ([], [False]):
            return False
        if found == [True] and found[0] is True:
            return True
        raise Failed(f"{condition.place} gives {_described(found)}, and not true or false: {condition.source[:200]}")

    def _evaluate(self, expression: Expression) -> list[Any]:
        found = self._known.get(expression.source)
        if found is None:
            found = self._known[expression.source] = self._fresh(expression)
        if isinstance(found, Failed):
            raise found
        return found

    def _fresh(self, expression: Expression) -> list[Any] | Failed:
        if self._spent > PLAN_SECONDS:
            return Failed(f"{expression.place} was not evaluated: the plan's expressions take too long.")
        began = time.monotonic()
        try:
            variables = {"patient": self.patient, "today": parse_date(self.now.date().isoformat()), **self.facts}
            compiled = compile_expression(expression.source)
            return compiled.evaluate(self.patient, variables, budget=EXPRESSION, now=self.now)
        except FhirError as error:
            return Failed(f"{expression.place} cannot be evaluated ({expression.source[:200]}): {error}")
        finally:
            self._spent += time.monotonic() - began


def needed(expressions: Iterable[Expression]) -> frozenset[str]:
    """The facts that the expressions speak of; one that cannot be compiled speaks of none."""
    return frozenset(name for expression in expressions for name in _variables(expression.source) if name in FACTS)


def _variables(source: str) -> list[str]:
    try:
        tree = compile_expression(source).tree
    except FhirError:
        return []
    return [node.name for node in nodes_of(tree) if isinstance(node, External)]


def _described(found: list[Any]) -> str:
    return f"{len(found)} values" if len(found) > 1 else f"{found[0]!r}"[:80]
