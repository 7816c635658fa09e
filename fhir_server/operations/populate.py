"""Questionnaire $populate: a response in progress with what is known filled in. Nothing is stored.

SDC OperationDefinition Questionnaire-populate, populate.html#expression-based-population: launchContexts, variables
(FHIRPath, and x-fhir-query with `local`), initialExpressions and initial values.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from fhir_server.errors import BusinessRule, FhirError, InvalidResource, Issue, ResourceNotFound, operation_outcome
from fhir_server.fhirpath import compile as compile_expression
from fhir_server.interactions.exchange import Request, Response
from fhir_server.interactions.questionnaire_answers import Forms
from fhir_server.interactions.router import dispatch
from fhir_server.model.instant import format_instant, now
from fhir_server.model.json import decode, encode
from fhir_server.model.reference import parse_reference
from fhir_server.model.url import decode_query
from fhir_server.operations.plans_parameters import expression
from fhir_server.operations.population import Population, launch_contexts
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.stored import content_of, current
from fhir_server.terminology.reader import StoreReader
from fhir_server.validation import validate
from fhir_server.validation.form import Form, form_of
from fhir_server.validation.form_answers import CORE, extensions
from fhir_server.validation.form_enablement import EXPRESSION

Json = dict[str, Any]

QUERY = "application/x-fhir-query"
_EMBEDDED = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_TYPE = re.compile(r"[A-Za-z]+")


async def populate(call: OperationRequest) -> Response:
    """Raises ResourceNotFound, InvalidResource (400) for parameters that do not go together, BusinessRule (422)."""
    forms = Forms(call.server, StoreReader(call.server.store, call.scope))
    form = await _form(call, forms)
    await _check_subject(call, form)
    response = _response(call, form)
    known = _Known(call, form, response)
    await known.gather()
    value_sets, unknown = await forms.value_sets(form)
    population = Population(form, response, known.values, value_sets)
    population.fill()
    told = [*known.issues, *unknown, *population.issues]
    parts: list[Json] = [{"name": "response", "resource": response}]
    if told:
        parts.append({"name": "issues", "resource": operation_outcome(told)})
    return Response(200, encode({"resourceType": "Parameters", "parameter": parts}))


async def _form(call: OperationRequest, forms: Forms) -> Form:
    if call.logical_id is not None:
        return form_of(await current(call, "Questionnaire", call.logical_id))
    identifier, given = call.one("identifier"), call.one("questionnaire")
    if (identifier is None) == (given is None):
        raise InvalidResource("Name the Questionnaire: one of identifier and questionnaire.", code="required")
    if identifier is not None:
        return form_of(await _identified(call, identifier))
    if isinstance(given, dict) and "resourceType" in given:
        validate(given)
        return form_of(given)
    if isinstance(given, dict):
        target = parse_reference(str(given.get("reference", "")), call.request.base_url)
        if not target.is_local or target.resource_type != "Questionnaire":
            raise InvalidResource("questionnaire is a reference to a Questionnaire of this server.", code="value")
        return form_of(await current(call, "Questionnaire", target.logical_id))
    found = await forms.named(str(given))
    if found is None:
        raise ResourceNotFound(f"Questionnaire {str(given)[:200]} is not stored here.")
    return found


async def _check_subject(call: OperationRequest, form: Form) -> None:
    """SDC: the subject is required. One of another server is taken as it is; nothing is known of it here."""
    subject = call.one("subject")
    if subject is None:
        raise InvalidResource("Say whose answers they are to be: send the subject.", code="required")
    target = parse_reference(str(subject.get("reference", "")), call.request.base_url)
    allowed = form.source.get("subjectType", ())
    if target.resource_type and allowed and target.resource_type not in allowed:
        text = f"The Questionnaire is about a {' or '.join(allowed)}, not a {target.resource_type}."
        raise BusinessRule(text, expression=expression("subject"))
    if target.is_local:
        stored = await call.server.store.read(call.scope, target.resource_type, target.logical_id)
        if stored is None or stored.body is None:
            raise BusinessRule(f"There is no {target.text}.", code="not-found", expression=expression("subject"))


async def _identified(call: OperationRequest, identifier: Json) -> Json:
    token = "|".join(_escaped(str(identifier.get(key, ""))) for key in ("system", "value"))
    matches = (await _searched(call, "Questionnaire", [("identifier", token), ("_count", "2")])).get("entry", [])
    if not matches:
        raise ResourceNotFound("No Questionnaire has this identifier.")
    if len(matches) > 1:
        raise BusinessRule("Several Questionnaires have this identifier: name one by its canonical.")
    found: Json = matches[0]["resource"]
    return found


def _escaped(text: str) -> str:
    """R4 search.html#escaping"""
    return re.sub(r"([\\,$|])", r"\\\1", text)


async def _searched(call: OperationRequest, resource_type: str, query: list[tuple[str, str]]) -> Json:
    request = Request("GET", resource_type, query, base_url=call.request.base_url, scope=call.scope)
    answer = await dispatch(call.server, request)
    body = answer.body if isinstance(answer.body, bytes) else b"".join([part async for part in answer.body])
    found: Json = decode(body)
    return found


def _response(call: OperationRequest, form: Form) -> Json:
    source = form.source
    if "url" in source:
        canonical = source["url"] + (f"|{source['version']}" if "version" in source else "")
    else:
        canonical = f"{call.request.base_url}/Questionnaire/{source.get('id', '')}".rstrip("/")
    subject = call.one("subject")
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": canonical,
        "status": "in-progress",
        **({"subject": subject} if subject is not None else {}),
        "authored": format_instant(now()).decode(),
    }


class _Known:
    """What expressions may speak of: launch contexts, then the variables of the Questionnaire in their order."""

    def __init__(self, call: OperationRequest, form: Form, response: Json) -> None:
        self.values: Json = {"questionnaire": form.source}
        self.issues: list[Issue] = []
        self._call = call
        self._form = form
        self._response = response
        self._local = bool(call.one("local"))
        self._contexts = launch_contexts(form.source)

    async def gather(self) -> None:
        for context in self._call.many("context"):
            await self._take(context["name"][0], context["content"])
        subject = self._call.one("subject")
        for name, types in self._contexts.items():
            if name not in self.values:
                self.values[name] = await self._subject(subject, types) if self._local and subject else []
        for one in extensions(self._form.source, f"{CORE}variable"):
            if isinstance(one, dict) and "name" in one and one["name"] not in self._given:
                await self._define(one["name"], one.get("language"), one.get("expression", ""))

    @property
    def _given(self) -> frozenset[str]:
        return frozenset(context["name"][0] for context in self._call.many("context"))

    async def _take(self, name: str, content: list[Json]) -> None:
        declared = {one["name"] for one in extensions(self._form.source, f"{CORE}variable") if "name" in one}
        if name not in self._contexts and name not in declared:
            self._tell(f"The Questionnaire has no launchContext or variable {name[:100]}: it was passed over.")
            return
        resources = []
        for one in content:
            if "resourceType" in one:
                validate(one)
                resources.append(one)
            elif (read := await self._read(one)) is not None:
                resources.append(read)
        wanted = self._contexts.get(name)
        wrong = [one["resourceType"] for one in resources if wanted and one["resourceType"] not in wanted]
        if wrong:
            raise InvalidResource(f"The context {name} is a {' or '.join(sorted(wanted or ()))}, not a {wrong[0]}.")
        self.values[name] = resources

    async def _subject(self, subject: Json, types: frozenset[str]) -> list[Json]:
        """The subject stands in for the launch context of its type that nobody gave."""
        target = parse_reference(str(subject.get("reference", "")), self._call.request.base_url)
        if target.resource_type not in types:
            return []
        found = await self._read(subject)
        return [] if found is None else [found]

    async def _read(self, reference: Json) -> Json | None:
        target = parse_reference(str(reference.get("reference", "")), self._call.request.base_url)
        if target.is_local:
            read = self._call.server.store.read
            version = await read(self._call.scope, target.resource_type, target.logical_id)
            if version is not None and version.body is not None:
                return content_of(version)
        self._tell(f"{str(reference.get('reference', 'A reference'))[:200]} is not stored here.")
        return None

    async def _define(self, name: str, language: Any, expression: str) -> None:
        try:
            if language == QUERY:
                self.values[name] = await self._query(expression)
            elif language == "text/fhirpath":
                self.values[name] = self._evaluate(expression)
            else:
                self._tell(f"Variable {name}: expressions in {language} are not supported.")
        except FhirError as error:
            self._tell(f"Variable {name}: {error}")

    def _evaluate(self, expression: str) -> list[Any]:
        return list(compile_expression(expression).items(self._response, self.values, budget=EXPRESSION))

    async def _query(self, expression: str) -> list[Json]:
        """The searchset of an x-fhir-query on this server, each embedded expression as one value of a parameter."""
        if not self._local:
            raise FhirError("it is a query of this server, which local=true allows.")
        known = True

        def embedded(match: re.Match[str]) -> str:
            nonlocal known
            found = compile_expression(match[1]).evaluate(self._response, self.values, budget=EXPRESSION)
            known = known and bool(found)
            return quote(",".join(_escaped(str(one)) for one in found), safe="")

        resource_type, _, query = _EMBEDDED.sub(embedded, expression).partition("?")
        if not known:
            # A query without its patient would be one of everybody.
            return []
        if not _TYPE.fullmatch(resource_type) or not query:
            raise FhirError("a query is [type]?[parameters].")
        pairs = [*decode_query(query.encode())]
        return [await _searched(self._call, resource_type, pairs)]

    def _tell(self, text: str) -> None:
        self.issues.append(Issue("processing", text, None, "warning"))
