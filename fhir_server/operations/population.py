"""A response with what is known filled in: initial values and SDC's initialExpressions, without I/O.

SDC populate.html#expression-based-population. Values that do not fit their item are left out and told.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fhir_server.errors import FhirError, Issue
from fhir_server.fhirpath import compile as compile_expression
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.types import type_at
from fhir_server.validation.form import Form, FormItem, Variable
from fhir_server.validation.form_answers import SDC, extension, extensions, value_of
from fhir_server.validation.form_enablement import EXPRESSION
from fhir_server.validation.questionnaire_response import Codes, value_issues

Json = dict[str, Any]

_TEXT = ("string", "text", "url", "open-choice")
_KEYS = {"string": "valueString", "text": "valueString", "url": "valueUri", "open-choice": "valueString"}


class Population:
    """Fills `response`, which names the form, item by item."""

    def __init__(self, form: Form, response: Json, known: Mapping[str, Any], value_sets: Mapping[str, Codes]) -> None:
        """`known`: launch contexts and variables of the form, by name."""
        self.issues: list[Issue] = []
        self._form = form
        self._response = response
        self._known = dict(known)
        self._value_sets = value_sets

    def fill(self) -> None:
        """One item for each of the Questionnaire, unanswered where nothing is known (SDC $populate)."""
        made = self._items(self._form.items, self._known)
        if made:
            self._response["item"] = made

    def _items(self, items: Mapping[str, FormItem], known: dict[str, Any]) -> list[Json]:
        return [self._item(item, known) for item in items.values()]

    def _item(self, item: FormItem, known: dict[str, Any]) -> Json:
        made: Json = {"linkId": item.link_id}
        if "text" in item.source:
            made["text"] = item.source["text"]
        if item.variables:
            known = dict(known)
            for one in item.variables:
                self._define(one, made, known)
        if item.is_group and (below := self._items(item.items, known)):
            made["item"] = below
        elif item.is_question and (values := self._values(item, made, known)):
            made["answer"] = values
            if item.items:
                for answer in values:
                    answer["item"] = self._items(item.items, known)
        return made

    def _values(self, item: FormItem, made: Json, known: dict[str, Any]) -> list[Json]:
        found = self._expressed(item, made, known) or _initial(item)
        fitting = []
        for answer in found:
            wrong = value_issues(self._form, item, answer, self._value_sets)
            if wrong:
                self._leave_out(item, wrong[0].diagnostics)
            else:
                fitting.append(answer)
        if len(fitting) > 1 and not item.repeats:
            self._leave_out(item, f"{len(fitting)} values are known but it takes one.")
            return []
        return fitting

    def _expressed(self, item: FormItem, made: Json, known: dict[str, Any]) -> list[Json]:
        expression = extension(item.source, f"{SDC}initialExpression")
        if not isinstance(expression, dict) or "expression" not in expression:
            return []
        if expression.get("language") != "text/fhirpath":
            self._leave_out(item, f"its initialExpression is in {expression.get('language')}, not in FHIRPath.")
            return []
        try:
            compiled = compile_expression(expression["expression"])
            context = Node(made, type_at("QuestionnaireResponse.item"))
            values = compiled.typed(self._response, {**known, "context": context}, budget=EXPRESSION)
        except FhirError as error:
            self._leave_out(item, str(error))
            return []
        answers = []
        for type_name, value in values:
            answer = as_answer(item, type_name.rpartition(".")[2], value)
            if answer is None:
                self._leave_out(item, f"its initialExpression gives a {type_name}.")
            else:
                answers.append(answer)
        return answers

    def _define(self, one: Variable, made: Json, known: dict[str, Any]) -> None:
        try:
            context = Node(made, type_at("QuestionnaireResponse.item"))
            items = one.expression.items(self._response, {**known, "context": context}, budget=EXPRESSION)
            known[one.name] = list(items)
        except FhirError as error:
            self.issues.append(Issue("processing", f"Variable {one.name}: {error}", None, "warning"))

    def _leave_out(self, item: FormItem, why: str) -> None:
        place = f"Questionnaire.descendants().where(linkId='{item.link_id}')"
        self.issues.append(Issue("processing", f"Item {item.link_id} is not filled in: {why}", place, "warning"))


def _initial(item: FormItem) -> list[Json]:
    """R4 Questionnaire.item.initial, or the options that are selected at first."""
    found = [one for initial in item.source.get("initial", ()) if (one := value_of(initial)) is not None]
    for option in item.source.get("answerOption", ()):
        value = value_of({key: one for key, one in option.items() if key != "initialSelected"})
        if option.get("initialSelected") and value is not None:
            found.append(value)
    return [dict([one]) for one in found]


def as_answer(item: FormItem, type_name: str, value: Any) -> Json | None:
    """`value`, of a FHIR or System type, as an answer to `item`; None when it is not one."""
    kind = item.type
    if value is None:
        return None
    if kind in ("choice", "open-choice") and (coded := _coded(item, type_name, value)) is not None:
        return coded
    if kind in _TEXT and isinstance(value, str):
        return {_KEYS[kind]: value}
    if kind == "boolean" and type(value) is bool:
        return {"valueBoolean": value}
    if kind == "integer" and type(value) is int:
        return {"valueInteger": value}
    if kind == "decimal" and isinstance(value, int | Decimal) and type(value) is not bool:
        return {"valueDecimal": value}
    if kind in ("date", "dateTime", "time") and isinstance(value, str):
        return _moment(kind, type_name.lower(), value)
    if kind == "quantity" and type(value) is dict and "value" in value:
        return {"valueQuantity": {key: one for key, one in value.items() if key != "comparator"}}
    if kind == "reference" and type(value) is dict:
        return _reference(value)
    if kind == "attachment" and type_name == "Attachment":
        return {"valueAttachment": value}
    return None


def _coded(item: FormItem, type_name: str, value: Any) -> Json | None:
    """A Coding, the first coding of a concept, or the option that has the code."""
    if type_name == "Coding":
        return {"valueCoding": value}
    if type_name == "CodeableConcept":
        codings = value.get("coding", [])
        listed = item.options.keys if item.options is not None else None
        fitting = [one for one in codings if listed is None or (one.get("system"), one.get("code")) in listed]
        return {"valueCoding": fitting[0]} if fitting else None
    for option in item.source.get("answerOption", ()):
        found = value_of({key: one for key, one in option.items() if key != "initialSelected"})
        if found is not None and (found[1].get("code") if type(found[1]) is dict else found[1]) == value:
            return {found[0]: _plain_coding(found[1])}
    return None


def _plain_coding(value: Any) -> Any:
    return {key: one for key, one in value.items() if key != "extension"} if type(value) is dict else value


def _moment(kind: str, type_name: str, value: str) -> Json | None:
    if kind == "time":
        return {"valueTime": value} if type_name == "time" else None
    if type_name == "time":
        return None
    if kind == "date":
        return {"valueDate": value.partition("T")[0]}
    return {"valueDateTime": value}


def _reference(value: Json) -> Json | None:
    if "reference" in value or "identifier" in value:
        return {"valueReference": value}
    if "resourceType" in value and "id" in value:
        return {"valueReference": {"reference": f"{value['resourceType']}/{value['id']}"}}
    return None


def launch_contexts(questionnaire: Json) -> dict[str, frozenset[str]]:
    """SDC launchContext: name -> the resource types it may be."""
    found: dict[str, frozenset[str]] = {}
    for one in questionnaire.get("extension", ()):
        if one.get("url") == f"{SDC}launchContext":
            name = extension(one, "name")
            code = name.get("code") if isinstance(name, dict) else name
            if isinstance(code, str):
                found[code] = frozenset(extensions(one, "type"))
    return found
