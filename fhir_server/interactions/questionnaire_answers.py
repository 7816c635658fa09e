"""A QuestionnaireResponse is checked against its Questionnaire before it is stored, whatever way it comes.

The Questionnaire is the one that is stored at that moment of the transaction: the version named, or the newest
(`terminology.canonical.choose`). Without one here the response is stored unchecked, with a warning.
"""

from __future__ import annotations

from typing import Any

from fhir_server.errors import BusinessRule, Issue
from fhir_server.instruments.alerts import unstored_alerts
from fhir_server.interactions.exchange import Server
from fhir_server.storage.base import Transaction
from fhir_server.terminology.canonical import split
from fhir_server.terminology.library import Library
from fhir_server.terminology.reader import Reader, TransactionReader
from fhir_server.terminology.refusal import Unanswerable
from fhir_server.validation.form import Form, form_of
from fhir_server.validation.questionnaire_response import Codes, answer_issues

Json = dict[str, Any]

TYPE = "QuestionnaireResponse"
_PLACE = f"{TYPE}.questionnaire"


class Forms:
    """The Questionnaires and value sets that some responses need, each looked for once.

    It lives no longer than a transaction, and is made anew when a Questionnaire is written in it.
    """

    def __init__(self, server: Server, reader: Reader) -> None:
        self._server = server
        self._reader = reader
        self._library = Library(reader, server.forms.compiled, {"Questionnaire": form_of})
        self._value_sets: dict[str, Codes | Unanswerable] = {}

    async def form(self, response: Json) -> Form | None:
        """What `response` answers; None when it names none that is here."""
        canonical = response.get("questionnaire")
        if canonical is None:
            return None
        if canonical.startswith("#"):
            contained = [one for one in response.get("contained", ()) if one.get("id") == canonical[1:]]
            return form_of(contained[0]) if contained and contained[0]["resourceType"] == "Questionnaire" else None
        return await self.named(canonical)

    async def named(self, canonical: str) -> Form | None:
        """The form that `canonical` means now; None when it is not here."""
        known = self._server.forms.meant(canonical)
        if known is not None:
            return known[0]
        found = await self._library.by_canonical("Questionnaire", *split(canonical))
        assert found is None or isinstance(found, Form)
        if self._library.only_committed:
            self._server.forms.learn(canonical, found)
        return found

    async def check(self, response: Json) -> list[Issue]:
        """Raises BusinessRule (422) with every issue; warnings say what could not be checked."""
        try:
            form = await self.form(response)
        except Unanswerable as refusal:
            return [_warning(str(refusal), _PLACE)]
        if form is None:
            return [_unchecked(response)]
        codes, unknown = await self.value_sets(form)
        warnings = [*(_warning(text, _PLACE) for text in form.unusable), *unknown]
        found_issues = answer_issues(form, response, codes)
        if found_issues:
            alerts = unstored_alerts(response)
            raise BusinessRule(found_issues[0].diagnostics, issues=[*alerts, *found_issues] if alerts else found_issues)
        return warnings

    async def value_sets(self, form: Form) -> tuple[dict[str, Codes], list[Issue]]:
        """The value sets that `form` draws on, and warnings of those that are not known."""
        codes: dict[str, Codes] = {}
        unknown = []
        for canonical in form.value_sets:
            found = await self._codes(canonical)
            if isinstance(found, Unanswerable):
                unknown.append(_warning(f"Answers from {canonical} are not checked: {found}", _PLACE))
            else:
                codes[canonical] = found
        return codes, unknown

    async def _codes(self, canonical: str) -> Codes | Unanswerable:
        if canonical not in self._value_sets:
            try:
                self._value_sets[canonical] = await self._server.terminology.expand(canonical, self._reader)
            except Unanswerable as refusal:
                self._value_sets[canonical] = refusal
        return self._value_sets[canonical]


async def check_answers(server: Server, transaction: Transaction, resource: Json) -> list[Issue]:
    """Warnings about a QuestionnaireResponse that `transaction` writes; nothing about other resources.

    Every writing interaction calls it, so it is also where a written Questionnaire is noticed.
    Raises BusinessRule (422) when the response does not fit its Questionnaire.
    """
    server.forms.written(resource["resourceType"])
    if not is_checked(server, resource["resourceType"]):
        return []
    return await Forms(server, TransactionReader(transaction)).check(resource)


def is_checked(server: Server, resource_type: str) -> bool:
    return resource_type == TYPE and server.settings.questionnaire_validation == "enforce"


def _unchecked(response: Json) -> Issue:
    named = response.get("questionnaire")
    if named is None:
        return _warning("The response names no questionnaire, so its answers were not checked.", TYPE)
    return _warning(f"Questionnaire {named[:200]} is not stored here, so the answers were not checked.", _PLACE)


def _warning(text: str, expression: str) -> Issue:
    return Issue("incomplete", text, expression, "warning")
