"""What a QuestionnaireResponse answers, item by item, with everything that keeps it from being scored.

R4 questionnaireresponse.html; answers are matched to the Questionnaire's options by system and code, never by
display or position.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fhir_server.errors import Issue
from fhir_server.instruments.definition import TOP, Instrument, Item, Place, Reading
from fhir_server.instruments.values import UnreadableError, read_value
from fhir_server.validation.enablement import disabled_items


@dataclass(slots=True)
class Answers:
    """`readings` may hold several for an item answered more than once: those are also issues."""

    readings: dict[str, list[Reading]] = field(default_factory=dict)
    """By linkId; an item whose answer cannot be read is there with none, one not answered is not there."""
    issues: list[Issue] = field(default_factory=list)
    uncounted: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Answers to items that are part of no score, by linkId: not read."""


def read_answers(instrument: Instrument, response: dict[str, Any]) -> Answers:
    """Collect the readings of `response`; an item that cannot be read becomes an issue, never a zero."""
    reader = _Reader(instrument)
    if instrument.conditional:
        reader.disabled = disabled_items(instrument.questionnaire, response)
    reader.read_items(response, "QuestionnaireResponse", TOP)
    return reader.answers


class _Reader:
    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._seen: set[str] = set()
        self.disabled: set[str] = set()
        self.answers = Answers()

    def read_items(self, parent: dict[str, Any], expression: str, place: Place) -> None:
        """Every item below `parent`, depth first; one that stands elsewhere than in the Questionnaire is read too.

        It is refused, but an alert in it must not be missed.
        """
        for index, item in enumerate(self._objects(parent, "item", expression)):
            path = f"{expression}.item[{index}]"
            self._read_item(item, path, place)
            if "item" in item:
                self.read_items(item, path, Place(str(item.get("linkId"))))

    def _objects(self, parent: dict[str, Any], name: str, expression: str) -> list[dict[str, Any]]:
        elements = parent.get(name, [])
        if isinstance(elements, list) and all(isinstance(element, dict) for element in elements):
            return elements
        self._refuse("structure", f"{name} is not a list of objects.", f"{expression}.{name}")
        return []

    def _refuse(self, code: str, diagnostics: str, expression: str) -> None:
        self.answers.issues.append(Issue(code, diagnostics, expression))

    def _read_item(self, item: dict[str, Any], path: str, place: Place) -> None:
        link_id = item.get("linkId")
        answers = self._objects(item, "answer", path)
        if not isinstance(link_id, str):
            self._refuse("required", "An item has no linkId.", f"{path}.linkId")
        elif link_id not in self._instrument.items:
            known = self._instrument.canonical
            self._refuse("not-found", f"Questionnaire {known} has no question {link_id}.", f"{path}.linkId")
        else:
            if link_id in self._seen:
                self._refuse("duplicate", f"Item {link_id} occurs more than once: send it once.", path)
            self._seen.add(link_id)
            question = self._instrument.items[link_id]
            if question.place != place:
                text = f"Item {link_id} stands {place}; the Questionnaire asks it {question.place}."
                self._refuse("structure", text, path)
            self._read_answers(question, answers, path)
        for index, answer in enumerate(answers):
            if "item" in answer:
                self.read_items(answer, f"{path}.answer[{index}]", Place(str(link_id), in_answer=True))

    def _read_answers(self, question: Item, answers: list[dict[str, Any]], path: str) -> None:
        if not question.type:
            self.answers.uncounted[question.link_id] = answers
            return
        answered = 0
        for index, answer in enumerate(answers):
            values = [key for key in answer if key.startswith("value")]
            if not values:
                continue
            answered += 1
            readings = self.answers.readings.setdefault(question.link_id, [])
            try:
                readings.append(read_value(question, answer, values))
            except UnreadableError as unreadable:
                self._refuse(unreadable.code, unreadable.diagnostics, f"{path}.answer[{index}]{unreadable.below}")
        if answered and question.link_id in self.disabled:
            text = f"Item {question.link_id} is answered, though its enableWhen does not hold."
            self._refuse("business-rule", text, f"{path}.answer")
        if answered > 1:
            text = f"Item {question.link_id} has {answered} answers but takes one."
            self._refuse("duplicate", text, f"{path}.answer")
