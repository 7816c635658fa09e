"""Does a QuestionnaireResponse fit its Questionnaire? (R4 questionnaireresponse.html, questionnaire.html)

All issues, each with where it stands. A response in progress or stopped may lack answers and keep those of disabled
items; a completed or amended one may not; one entered in error is not looked at, for it says nothing
(R4 valueset-questionnaire-answers-status).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from fhir_server.errors import Issue
from fhir_server.validation.form import Form, FormItem
from fhir_server.validation.form_answers import option_key, value_of
from fhir_server.validation.form_enablement import Chain, Enablement

Json = dict[str, Any]

COMPLETE = ("completed", "amended")
IN_ERROR = "entered-in-error"
ROOT = "QuestionnaireResponse"


class Codes(Protocol):
    """The codes of a value set."""

    def __contains__(self, coding: Any, /) -> bool: ...


def answer_issues(form: Form, response: Json, value_sets: Mapping[str, Codes]) -> list[Issue]:
    """Every issue of `response`, valid R4, against `form`.

    `value_sets`: those of `form.value_sets` that are known; answers from another are not checked.
    """
    if response.get("status") == IN_ERROR:
        return []
    check = _Check(form, response, value_sets)
    check.items(form.items, response, ROOT, (), enabled=True)
    return check.issues


def value_issues(form: Form, item: FormItem, answer: Json, value_sets: Mapping[str, Codes]) -> list[Issue]:
    """What is wrong with `answer` as one to `item`."""
    check = _Check(form, {}, value_sets)
    found = value_of(answer)
    if found is not None:
        check.value(item, found, ROOT, 0)
    return check.issues


class _Check:
    def __init__(self, form: Form, response: Json, value_sets: Mapping[str, Codes]) -> None:
        self.issues: list[Issue] = []
        self._form = form
        self._value_sets = value_sets
        self._complete = response.get("status") in COMPLETE
        self._enablement = Enablement(form, response) if form.conditional else None

    def _refuse(self, code: str, diagnostics: str, expression: str) -> None:
        self.issues.append(Issue(code, diagnostics, expression))

    def items(
        self, expected: dict[str, FormItem], holder: Json, path: str, chain: Chain, *, enabled: bool | None
    ) -> None:
        """The items below `holder`: the response, a group or an answer."""
        counts: dict[str, int] = {}
        last = -1
        for index, sent in enumerate(holder.get("item", ())):
            link_id = sent.get("linkId", "")
            place = f"{path}.item[{index}]"
            item = expected.get(link_id)
            if item is None:
                self._refuse_stranger(link_id, place)
                continue
            if item.place < last:
                text = f"Item {link_id} comes after one that it precedes in the Questionnaire: keep its order."
                self._refuse("structure", text, place)
            last = max(last, item.place)
            count = counts[link_id] = counts.get(link_id, 0) + 1
            if count > 1 and not (item.is_group and item.repeats):
                self._refuse("duplicate", self._why_once(item), place)
                continue
            self._item(item, sent, place, chain, enabled=enabled)
        if self._complete:
            self._missing(expected, counts, path, chain, enabled=enabled)
        for link_id, count in counts.items():
            item = expected[link_id]
            if item.is_group and item.max_occurs is not None and count > item.max_occurs:
                text = f"Group {link_id} occurs {count} times; the most are {item.max_occurs}."
                self._refuse("structure", text, _named(path, link_id))

    def _refuse_stranger(self, link_id: str, place: str) -> None:
        known = self._form.known.get(link_id)
        if known is None:
            text = f"The Questionnaire has no item {link_id[:100]}."
            self._refuse("not-found", text, f"{place}.linkId")
        else:
            where = f"below {known.path[-1]}" if known.path else "at the top level"
            below = known.path and self._form.known[known.path[-1]].is_question
            text = f"Item {link_id} does not belong here: the Questionnaire has it {where}"
            self._refuse("structure", f"{text}{', in an answer to it' if below else ''}.", place)

    @staticmethod
    def _why_once(item: FormItem) -> str:
        if item.repeats:
            return f"Question {item.link_id} stands here twice: send its answers in one item."
        return f"Item {item.link_id} occurs more than once but does not repeat."

    def _missing(
        self, expected: dict[str, FormItem], counts: dict[str, int], path: str, chain: Chain, *, enabled: bool | None
    ) -> None:
        """R4 questionnaire-definitions.html#Questionnaire.item.required: must be there in a completed response."""
        for link_id, item in expected.items():
            count = counts.get(link_id, 0)
            if not count and item.required and enabled and self._enabled(item, None, chain, enabled=enabled):
                what = "group" if item.is_group else "answer to item"
                text = f"The {what} {link_id} is required in a completed response."
                self._refuse("required", text, _named(path, link_id))
            if item.is_group and (count or item.required) and count < item.min_occurs and enabled:
                text = f"Group {link_id} occurs {count} times; the fewest are {item.min_occurs}."
                self._refuse("required", text, _named(path, link_id))

    def _enabled(self, item: FormItem, sent: Json | None, chain: Chain, *, enabled: bool | None) -> bool | None:
        """What is below a disabled item is disabled (R4 Questionnaire.item.enableWhen)."""
        if not enabled or self._enablement is None or not item.is_conditional:
            return enabled
        return self._enablement.of(item, sent, chain)

    def _item(self, item: FormItem, sent: Json, place: str, chain: Chain, *, enabled: bool | None) -> None:
        enabled = self._enabled(item, sent, chain, enabled=enabled)
        if enabled is False and self._complete:
            if "answer" in sent or "item" in sent:
                text = f"Item {item.link_id} is answered, though its enableWhen does not hold."
                self._refuse("business-rule", text, place)
            return
        if item.is_group:
            if "answer" in sent:
                text = f"Item {item.link_id} is a group: it has items, not answers."
                self._refuse("structure", text, f"{place}.answer")
            self.items(item.items, sent, place, (*chain, (item.link_id, sent)), enabled=enabled)
        elif item.is_question:
            if "item" in sent:
                text = f"Item {item.link_id} is a question: items below it stand in an answer."
                self._refuse("structure", text, f"{place}.item")
            self._question(item, sent, place, chain, enabled=enabled)
        elif "answer" in sent or "item" in sent:
            self._refuse("structure", f"Item {item.link_id} is only displayed: it takes no answers.", place)

    def _question(self, item: FormItem, sent: Json, place: str, chain: Chain, *, enabled: bool | None) -> None:
        count = 0
        exclusive = False
        for index, answer in enumerate(sent.get("answer", ())):
            found = value_of(answer)
            if found is not None:
                count += 1
                exclusive |= self.value(item, found, place, index)
            if item.items or "item" in answer:
                below = (*chain, (item.link_id, sent))
                self.items(item.items, answer, f"{place}.answer[{index}]", below, enabled=enabled)
        if self._complete and 0 < count < item.min_occurs and enabled:
            text = f"Item {item.link_id} has {count} answers; the fewest are {item.min_occurs}."
            self._refuse("required", text, f"{place}.answer")
        if count > 1:
            self._several(item, count, place, exclusive=exclusive)
        elif not count and self._complete and item.required and enabled:
            self._refuse("required", f"Item {item.link_id} needs an answer in a completed response.", place)

    def _several(self, item: FormItem, count: int, place: str, *, exclusive: bool) -> None:
        most = (item.max_occurs or count) if item.repeats else 1
        if count > most:
            text = f"Item {item.link_id} has {count} answers but takes {'one' if most == 1 else f'at most {most}'}."
            self._refuse("duplicate" if most == 1 else "structure", text, f"{place}.answer")
        if exclusive:
            text = f"Item {item.link_id} has an answer that excludes all others."
            self._refuse("business-rule", text, f"{place}.answer")

    def value(self, item: FormItem, found: tuple[str, Any], place: str, index: int) -> bool:
        """Check one value; whether it is an option that stands alone."""
        key, value = found
        if key not in item.keys:
            wanted = " or ".join(item.keys)
            text = f"Item {item.link_id} is of type {item.type}: it takes {wanted}, not {key}."
            self._refuse("value", text, f"{place}.answer[{index}].value")
            return False
        if item.options is not None or item.value_set:
            problem = self._unlisted(item, key, value)
            if problem:
                self._refuse("code-invalid", problem, f"{place}.answer[{index}].value")
        for check in item.checks:
            wrong = check(value)
            if wrong is not None:
                self._refuse(wrong[0], f"Item {item.link_id}: {wrong[1]}", f"{place}.answer[{index}].value")
        return item.options is not None and bool(item.options.exclusive) and option_key(value) in item.options.exclusive

    def _unlisted(self, item: FormItem, key: str, value: Any) -> str:
        """Why the value is none of those listed; empty when it is. Free text is what an open choice is for."""
        if item.type == "open-choice" and key == "valueString":
            return ""
        chosen = option_key(value)
        if item.options is not None:
            if chosen in item.options.keys:
                return ""
            return f"The answer to item {item.link_id} is none of its options (compared by system and code)."
        codes = self._form.contained_sets.get(item.value_set) or self._value_sets.get(item.value_set)
        if key != "valueCoding" or codes is None or (str(chosen[0] or ""), str(chosen[1] or "")) in codes:
            return ""
        return f"The answer to item {item.link_id} is not in the value set {item.value_set}."


def _named(path: str, link_id: str) -> str:
    """The place of what is not there."""
    quoted = link_id.replace("\\", "\\\\").replace("'", "\\'")
    return f"{path}.item.where(linkId='{quoted}')"
