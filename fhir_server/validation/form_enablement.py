"""Which items are enabled, occurrence by occurrence: enableWhen and SDC's enableWhenExpression.

R4 questionnaire-definitions.html#Questionnaire.item.enableWhen.question: of several occurrences of the question the
nearest counts, found along the ancestors, then before, then after. An occurrence in another repetition of a group than
the item's own is not looked at.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from fhir_server.errors import FhirError
from fhir_server.fhirpath import Budget, CompiledExpression
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.types import type_at
from fhir_server.validation.enablement import is_met
from fhir_server.validation.form import Form, FormItem, Variable
from fhir_server.validation.form_answers import value_of

Json = dict[str, Any]
Chain = tuple[tuple[str, Json], ...]
"""The response items that one stands in, outermost first, each with its linkId."""

EXPRESSION = Budget(steps=20_000)
"""What one expression of a Questionnaire may cost: a thousand times what is usual."""
MOST_EVALUATIONS = 1_000
"""enableWhenExpressions of one response; those of further occurrences decide nothing."""


class Enablement:
    """The answers of one response, for the conditions of its form."""

    def __init__(self, form: Form, response: Json) -> None:
        self._form = form
        self._response = response
        self._occurrences: dict[str, tuple[list[int], list[list[Any]]]] = {}
        """linkId -> the numbers of its occurrences in document order, and the values of each."""
        self._spans: dict[int, tuple[int, int]] = {}
        """id of a response item -> its number in document order, and that of the last one below it."""
        self._count = 0
        self._shared: dict[str, Any] | None = None
        self._left = MOST_EVALUATIONS
        self._collect(response)

    def of(self, item: FormItem, sent: Json | None, chain: Chain) -> bool | None:
        """Whether `item` is enabled, at the occurrence `sent` or where it is missing; None: there is no telling."""
        if item.conditions:
            met = (is_met(one, self._answers(one["question"], sent, chain)) for one in item.conditions)
            if not (any(met) if item.any_condition else all(met)):
                return False
        if item.undecided:
            return None
        return True if item.enabled_if is None else self._holds(item, item.enabled_if, sent, chain)

    def _collect(self, parent: Json) -> None:
        for sent in parent.get("item", ()):
            number = self._count = self._count + 1
            values: list[Any] = []
            numbers, answers = self._occurrences.setdefault(sent.get("linkId", ""), ([], []))
            numbers.append(number)
            answers.append(values)
            for answer in sent.get("answer", ()):
                found = value_of(answer)
                if found is not None:
                    values.append(found[1])
                self._collect(answer)
            self._collect(sent)
            self._spans[id(sent)] = (number, self._count)

    def _answers(self, question: str, sent: Json | None, chain: Chain) -> list[Any]:
        asked = self._form.known.get(question)
        first, last = 0, self._count
        for (link_id, holder), expected in zip(chain, (*asked.path, question) if asked else (), strict=False):
            if link_id != expected:
                break
            first, last = self._spans[id(holder)]
        at = self._spans[id(sent)][0] if sent is not None else last + 1
        numbers, answers = self._occurrences.get(question, ((), ()))
        nearest = bisect_left(numbers, at)
        if nearest and numbers[nearest - 1] >= first:
            return answers[nearest - 1]
        return answers[nearest] if nearest < len(numbers) and numbers[nearest] <= last else []

    def _holds(self, item: FormItem, expression: CompiledExpression, sent: Json | None, chain: Chain) -> bool | None:
        if self._left <= 0:
            return None
        self._left -= 1
        try:
            result = self._evaluate(expression, sent, self._variables(item, sent, chain))
        except FhirError:
            return None
        if result in ([], [False]):
            return False
        return True if result == [True] else None

    def _variables(self, item: FormItem, sent: Json | None, chain: Chain) -> dict[str, Any]:
        """Of the form, of what the item stands in and its own, each seeing those before it (SDC, variable)."""
        if self._shared is None:
            self._shared = {"questionnaire": self._form.source}
            self._define(self._form.variables, self._response, self._shared)
        if not any(self._form.known[link_id].variables for link_id in (*item.path, item.link_id)):
            return self._shared
        known = dict(self._shared)
        places: Sequence[tuple[str, Json | None]] = (*chain, (item.link_id, sent))
        for link_id, holder in places:
            self._define(self._form.known[link_id].variables, holder, known)
        return known

    def _define(self, variables: Sequence[Variable], holder: Json | None, known: dict[str, Any]) -> None:
        for one in variables:
            known[one.name] = self._evaluate(one.expression, holder, known)

    def _evaluate(self, expression: CompiledExpression, holder: Json | None, known: dict[str, Any]) -> list[Any]:
        """%resource is the response, %context the item of it that is asked about."""
        context: Any = [] if holder is None else holder
        if holder is not None and holder is not self._response:
            context = Node(holder, type_at("QuestionnaireResponse.item"))
        return list(expression.items(self._response, {**known, "context": context}, budget=EXPRESSION))
