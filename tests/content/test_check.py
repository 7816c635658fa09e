"""`fhir-server content check`: what ships has no findings, and each kind of fault is found in a broken artefact."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhir_server.content_check import Artefact, Report, check, read_shipped
from fhir_server.content_check.finding import line_of, path_of

Json = dict[str, Any]
Change = Callable[[Json], object]
BASE = "https://fhir.example.org/msk"
CORE = "http://hl7.org/fhir/StructureDefinition"
ANSWERS = f"%responses.where(questionnaire.startsWith('{BASE}/Questionnaire/oks|')).item"
SHORT_ENOUGH_SECONDS = 5
"""Of processor time; it takes less than one."""


def head(resource_type: str, name: str, **elements: Any) -> Json:
    title = {} if resource_type == "SearchParameter" else {"title": name}
    return {
        "resourceType": resource_type,
        "id": f"{name}-1.0.0",
        "url": f"{BASE}/{resource_type}/{name}",
        "version": "1.0.0",
        "name": "Tried",
        **title,
        "status": "active",
        "experimental": True,
        "date": "2026-11-25",
        "publisher": "A test",
        **elements,
    }


def structure(type_name: str, elements: list[Json], **others: Any) -> Json:
    return head(
        "StructureDefinition",
        "tried",
        kind="complex-type" if type_name == "Extension" else "resource",
        abstract=False,
        type=type_name,
        baseDefinition=f"{CORE}/{type_name}",
        derivation="constraint",
        differential={"element": elements},
        **others,
    )


def profile() -> Json:
    sliced = {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}
    rule = {"key": "tried-1", "severity": "error", "human": "It has a family name.", "expression": "name.exists()"}
    binding = {"strength": "required", "valueSet": "http://hl7.org/fhir/ValueSet/administrative-gender"}
    return structure(
        "Patient",
        [
            {"id": "Patient", "path": "Patient", "constraint": [rule]},
            {"id": "Patient.identifier", "path": "Patient.identifier", "slicing": sliced, "min": 1},
            {"id": "Patient.identifier:nhs", "path": "Patient.identifier", "sliceName": "nhs", "max": "1"},
            {"id": "Patient.identifier:nhs.system", "path": "Patient.identifier.system", "fixedUri": "http://nhs"},
            {"id": "Patient.gender", "path": "Patient.gender", "binding": binding, "patternCode": "female"},
            {"id": "Patient.deceased[x]", "path": "Patient.deceased[x]", "type": [{"code": "boolean"}]},
        ],
    )


def extension() -> Json:
    binding = {"strength": "required", "valueSet": f"{BASE}/ValueSet/msk-timepoint|1.0.0"}
    return structure(
        "Extension",
        [
            {"id": "Extension", "path": "Extension"},
            {"id": "Extension.url", "path": "Extension.url", "fixedUri": f"{BASE}/StructureDefinition/tried"},
            {"id": "Extension.value[x]", "path": "Extension.value[x]", "type": [{"code": "code"}], "binding": binding},
        ],
        context=[{"type": "element", "expression": "Task.input"}],
    )


def code_system() -> Json:
    concepts = [{"code": "a", "display": "A", "concept": [{"code": "b", "display": "B"}]}]
    return head("CodeSystem", "tried", content="complete", count=2, concept=concepts)


def value_set() -> Json:
    include = {"system": f"{BASE}/CodeSystem/msk-timepoint", "concept": [{"code": "baseline"}, {"code": "m6"}]}
    return head("ValueSet", "tried", compose={"include": [include]})


def concept_map() -> Json:
    to = {"code": "requested", "equivalence": "equivalent"}
    group = {
        "source": f"{BASE}/CodeSystem/msk-step-state",
        "target": "http://hl7.org/fhir/task-status",
        "element": [
            {"code": "available", "target": [to]},
            {"code": "planned", "target": [{"equivalence": "unmatched", "comment": "none"}]},
        ],
    }
    return head("ConceptMap", "tried", group=[group])


def search_parameter() -> Json:
    elements = {"description": "Tried", "code": "tried", "base": ["Task"], "type": "date"}
    return head("SearchParameter", "tried", **elements, expression="Task.restriction.period")


def plan() -> Json:
    condition = {
        "kind": "applicability",
        "expression": {"language": "text/fhirpath", "expression": "%patient.exists()"},
    }
    first = {
        "id": "first",
        "extension": [{"url": f"{BASE}/StructureDefinition/msk-timepoint", "valueCode": "baseline"}],
        "code": [{"coding": [{"system": f"{BASE}/CodeSystem/msk-step-kind", "code": "review"}]}],
        "condition": [condition],
        "definitionCanonical": f"{BASE}/Questionnaire/oks|1.0.0-neutral",
    }
    after = {"actionId": "first", "relationship": "after-end", "offsetDuration": days(7)}
    return head("PlanDefinition", "tried", action=[first, {"id": "second", "relatedAction": [after]}])


def days(value: int) -> Json:
    return {"value": value, "unit": "days", "system": "http://unitsofmeasure.org", "code": "d"}


def form() -> Json:
    enabled = {"question": "1", "operator": "exists", "answerBoolean": True}
    items = [
        {"linkId": "1", "type": "boolean", "text": "One"},
        {"linkId": "2", "type": "string", "text": "Two", "enableWhen": [enabled]},
    ]
    return head("Questionnaire", "tried", item=items)


GOOD = (profile, extension, code_system, value_set, concept_map, search_parameter, plan, form)


@cache
def shipped() -> list[Artefact]:
    return read_shipped()


def checked(resource: Json) -> Report:
    return check(shipped(), [Artefact("tried.json", json.dumps(resource, indent=2), resource)])


def element(resource: Json, n: int) -> Json:
    found = resource["differential"]["element"][n]
    assert isinstance(found, dict)
    return found


def put(holder: Any, *keys_and_value: Any) -> None:
    """put(resource, "action", 0, "title", "x") sets resource["action"][0]["title"] to x."""
    *keys, last, value = keys_and_value
    for key in keys:
        holder = holder[key]
    holder[last] = value


BROKEN: dict[str, tuple[Callable[[], Json], Change, str, str, str]] = {
    "structure: an element R4 does not have": (
        plan,
        lambda one: put(one, "action", 1, "titel", "x"),
        "structure",
        "PlanDefinition.action[1].titel",
        "has no element titel",
    ),
    "structure: a code of a required binding": (
        plan,
        lambda one: put(one, "status", "aktive"),
        "structure",
        "PlanDefinition.status",
        "must be one of",
    ),
    "invariant: a narrower target without a comment (cmd-1)": (
        concept_map,
        lambda one: put(one, "group", 0, "element", 0, "target", 0, "equivalence", "narrower"),
        "invariant",
        "ConceptMap.group[0].element[0].target[0]",
        "cmd-1",
    ),
    "invariant: a group without items (que-1)": (
        form,
        lambda one: put(one, "item", 0, "type", "group"),
        "invariant",
        "Questionnaire.item[0]",
        "que-1",
    ),
    "invariant: a slice with a dot in its name (eld-16)": (
        profile,
        lambda one: put(element(one, 2), "sliceName", "nhs.number"),
        "invariant",
        "StructureDefinition.differential.element[2]",
        "eld-16",
    ),
    "identity: no publisher": (
        form,
        lambda one: one.pop("publisher"),
        "identity",
        "Questionnaire",
        "publisher is missing",
    ),
    "identity: no date": (form, lambda one: one.pop("date"), "identity", "Questionnaire", "date is missing"),
    "identity: no version": (form, lambda one: one.pop("version"), "identity", "Questionnaire", "version is missing"),
    "identity: no title": (form, lambda one: one.pop("title"), "identity", "Questionnaire", "title is missing"),
    "identity: for real use": (
        form,
        lambda one: put(one, "experimental", False),
        "identity",
        "Questionnaire.experimental",
        "experimental is true",
    ),
    "identity: an id without the version": (
        form,
        lambda one: put(one, "id", "tried"),
        "identity",
        "Questionnaire.id",
        "tried-1.0.0",
    ),
    "identity: the url of another type": (
        form,
        lambda one: put(one, "url", f"{BASE}/Library/tried"),
        "identity",
        "Questionnaire.url",
        "/Questionnaire/",
    ),
    "identity: a name for people": (
        form,
        lambda one: put(one, "name", "A form"),
        "identity",
        "Questionnaire.name",
        "starts with a capital",
    ),
    "identity: an id that is there": (
        form,
        lambda one: put(one, "id", "oks-1.0.0-neutral"),
        "identity",
        "Questionnaire.id",
        "Another file has Questionnaire/oks-1.0.0-neutral too",
    ),
    "canonical: not shipped": (
        plan,
        lambda one: put(one, "action", 0, "definitionCanonical", f"{BASE}/Questionnaire/okss|1.0.0"),
        "canonical",
        "PlanDefinition.action[0].definitionCanonical",
        "neither shipped, nor R4's",
    ),
    "canonical: another version": (
        plan,
        lambda one: put(one, "action", 0, "definitionCanonical", f"{BASE}/Questionnaire/oks|9"),
        "canonical",
        "PlanDefinition.action[0].definitionCanonical",
        "there is 1.0.0-neutral of it",
    ),
    "canonical: a value set R4 does not have": (
        profile,
        lambda one: put(element(one, 4), "binding", "valueSet", "http://hl7.org/fhir/ValueSet/gender"),
        "canonical",
        "StructureDefinition.differential.element[4].binding.valueSet",
        "neither shipped, nor R4's",
    ),
    "canonical: an extension of ours that is not defined": (
        plan,
        lambda one: put(one, "action", 0, "extension", 0, "url", f"{BASE}/StructureDefinition/msk-time"),
        "canonical",
        "PlanDefinition.action[0].extension[0].url",
        "No extension",
    ),
    "canonical: an extension that R4 does not have": (
        form,
        lambda one: put(one, "item", 0, "extension", [{"url": f"{CORE}/ordinal", "valueDecimal": 1}]),
        "canonical",
        "Questionnaire.item[0].extension[0].url",
        "No extension",
    ),
    "canonical: a code system that nobody knows": (
        value_set,
        lambda one: put(one, "compose", "include", 0, {"system": f"{BASE}/CodeSystem/none"}),
        "canonical",
        "ValueSet.compose.include[0].system",
        "No code system",
    ),
    "code: not in our code system": (
        plan,
        lambda one: put(one, "action", 0, "code", 0, "coding", 0, "code", "rewiev"),
        "code",
        "PlanDefinition.action[0].code[0].coding[0].code",
        "has no code rewiev",
    ),
    "code: not in R4's code system": (
        plan,
        lambda one: put(
            one,
            "topic",
            [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/definition-topic", "code": "t"}]}],
        ),
        "code",
        "PlanDefinition.topic[0].coding[0].code",
        "has no code t",
    ),
    "code: of an unknown system": (
        plan,
        lambda one: put(one, "topic", [{"coding": [{"system": "http://example.org/topics", "code": "t"}]}]),
        "code",
        "PlanDefinition.topic[0].coding[0].code",
        "neither shipped, nor R4's",
    ),
    "code: without a system": (
        plan,
        lambda one: put(one, "topic", [{"coding": [{"code": "t"}]}]),
        "code",
        "PlanDefinition.topic[0].coding[0].code",
        "has no system",
    ),
    "code: in an extension with a binding": (
        plan,
        lambda one: put(one, "action", 0, "extension", 0, "valueCode", "m7"),
        "code",
        "PlanDefinition.action[0].extension[0].valueCode",
        "has no code m7",
    ),
    "code: in a part of an extension": (
        plan,
        lambda one: put(
            one,
            "action",
            0,
            "extension",
            0,
            {
                "url": f"{BASE}/StructureDefinition/msk-step-anchor",
                "extension": [{"url": "event", "valueCode": "birth"}, {"url": "offset", "valueDuration": days(1)}],
            },
        ),
        "code",
        "PlanDefinition.action[0].extension[0].extension[0].valueCode",
        "has no code birth",
    ),
    "code: no unit of UCUM": (
        plan,
        lambda one: put(one, "action", 1, "relatedAction", 0, "offsetDuration", "code", "dayz"),
        "code",
        "PlanDefinition.action[1].relatedAction[0].offsetDuration.code",
        "no unit of UCUM",
    ),
    "code: twice in a code system": (
        code_system,
        lambda one: put(one, "concept", 0, "concept", 0, "code", "a"),
        "code",
        "CodeSystem.concept",
        "there 2 times",
    ),
    "code: counted wrongly": (code_system, lambda one: put(one, "count", 3), "code", "CodeSystem.count", "2 codes"),
    "code: of a value set": (
        value_set,
        lambda one: put(one, "compose", "include", 0, "concept", 1, "code", "m7"),
        "code",
        "ValueSet.compose.include[0].concept[1].code",
        "has no code m7",
    ),
    "code: the source of a map": (
        concept_map,
        lambda one: put(one, "group", 0, "element", 0, "code", "open"),
        "code",
        "ConceptMap.group[0].element[0].code",
        "has no code open",
    ),
    "code: the target of a map": (
        concept_map,
        lambda one: put(one, "group", 0, "element", 0, "target", 0, "code", "open"),
        "code",
        "ConceptMap.group[0].element[0].target[0].code",
        "has no code open",
    ),
    "code: mapped twice": (
        concept_map,
        lambda one: put(one, "group", 0, "element", 1, "code", "available"),
        "code",
        "ConceptMap.group[0].element[1]",
        "mapped 2 times",
    ),
    "expression: a condition that does not parse": (
        plan,
        lambda one: put(one, "action", 0, "condition", 0, "expression", "expression", "%patient.exists("),
        "expression",
        "PlanDefinition.action[0].condition[0].expression.expression",
        "",
    ),
    "expression: a function that is not": (
        plan,
        lambda one: put(one, "action", 0, "condition", 0, "expression", "expression", "%patient.exist()"),
        "expression",
        "PlanDefinition.action[0].condition[0].expression.expression",
        "exist",
    ),
    "expression: a variable that $apply does not give": (
        plan,
        lambda one: put(one, "action", 0, "condition", 0, "expression", "expression", "%score.exists()"),
        "expression",
        "PlanDefinition.action[0].condition[0].expression.expression",
        "%score is no variable",
    ),
    "expression: a score that no instrument has": (
        plan,
        lambda one: put(
            one,
            "action",
            0,
            "condition",
            0,
            "expression",
            "expression",
            "%scores.where(code.coding.code = 'oks.totl').exists()",
        ),
        "expression",
        "PlanDefinition.action[0].condition[0].expression.expression",
        "no score or band oks.totl",
    ),
    "expression: a form that is not shipped": (
        plan,
        lambda one: put(
            one,
            "action",
            0,
            "condition",
            0,
            "expression",
            "expression",
            "%responses.where(questionnaire.startsWith('https://fhir.example.org/msk/Questionnaire/okss')).exists()",
        ),
        "expression",
        "PlanDefinition.action[0].condition[0].expression.expression",
        "Nothing is shipped",
    ),
    "expression: an item that the form does not have": (
        plan,
        lambda one: put(
            one,
            "action",
            0,
            "condition",
            0,
            "expression",
            "expression",
            f"{ANSWERS}.where(linkId = 'q99').exists()",
        ),
        "expression",
        "PlanDefinition.action[0].condition[0].expression.expression",
        "has the linkId q99",
    ),
    "expression: an answer that the item does not have": (
        plan,
        lambda one: put(
            one,
            "action",
            0,
            "condition",
            0,
            "expression",
            "expression",
            f"{ANSWERS}.where(linkId = 'q1').answer.value.code = '9'",
        ),
        "expression",
        "PlanDefinition.action[0].condition[0].expression.expression",
        "9 is no answer",
    ),
    "expression: a condition that is a number": (
        plan,
        lambda one: put(one, "action", 0, "condition", 0, "expression", "expression", "%scores.count()"),
        "expression",
        "PlanDefinition.action[0].condition[0].expression.expression",
        "gives true or false",
    ),
    "expression: a condition that fails": (
        plan,
        lambda one: put(one, "action", 0, "condition", 0, "expression", "expression", "(1 | 2).single() = 1"),
        "expression",
        "PlanDefinition.action[0].condition[0].expression.expression",
        "single",
    ),
    "expression: another language": (
        plan,
        lambda one: put(one, "action", 0, "condition", 0, "expression", "language", "text/cql"),
        "expression",
        "PlanDefinition.action[0].condition[0].expression.language",
        "text/cql",
    ),
    "expression: of SDC": (
        form,
        lambda one: put(
            one,
            "extension",
            [{"url": f"{CORE}/variable", "valueExpression": {"language": "text/fhirpath", "expression": "1 +"}}],
        ),
        "expression",
        "Questionnaire.extension[0].valueExpression.expression",
        "",
    ),
    "expression: an invariant that does not parse": (
        profile,
        lambda one: put(element(one, 0), "constraint", 0, "expression", "name.exists() and"),
        "expression",
        "StructureDefinition.differential.element[0].constraint[0].expression",
        "",
    ),
    "expression: an invariant on an element the type does not have": (
        profile,
        lambda one: put(element(one, 0), "constraint", 0, "expression", "names.exists()"),
        "expression",
        "StructureDefinition.differential.element[0].constraint[0].expression",
        "names",
    ),
    "expression: an extension that is not defined": (
        search_parameter,
        lambda one: put(one, "expression", f"Task.extension('{BASE}/StructureDefinition/msk-du').value.ofType(date)"),
        "expression",
        "SearchParameter.expression",
        "No extension",
    ),
    "expression: what search cannot index": (
        search_parameter,
        lambda one: put(one, "expression", "Task.description"),
        "expression",
        "SearchParameter.expression",
        "does not index",
    ),
    "element: a path R4 does not have": (
        profile,
        lambda one: put(element(one, 4), "path", "Patient.sex"),
        "element",
        "StructureDefinition.differential.element[4].path",
        "R4 has no element Patient.sex",
    ),
    "element: a path in a datatype": (
        profile,
        lambda one: put(element(one, 3), "path", "Patient.identifier.systems"),
        "element",
        "StructureDefinition.differential.element[3].path",
        "R4 has no element Patient.identifier.systems",
    ),
    "element: an id that is not the path": (
        profile,
        lambda one: put(element(one, 4), "id", "Patient.sex"),
        "element",
        "StructureDefinition.differential.element[4].id",
        "The id is the path",
    ),
    "element: an id twice": (
        profile,
        lambda one: one["differential"]["element"].append(dict(element(one, 5))),
        "element",
        "StructureDefinition.differential.element[6].id",
        "is there twice",
    ),
    "element: a slice of what is not sliced": (
        profile,
        lambda one: element(one, 1).pop("slicing"),
        "element",
        "StructureDefinition.differential.element[2].sliceName",
        "no slicing before",
    ),
    "element: another slice name": (
        profile,
        lambda one: put(element(one, 2), "sliceName", "other"),
        "element",
        "StructureDefinition.differential.element[2].sliceName",
        "the slice is nhs",
    ),
    "element: below a slice that is not": (
        profile,
        lambda one: put(element(one, 3), "id", "Patient.identifier:ods.system"),
        "element",
        "StructureDefinition.differential.element[3].id",
        "not defined before",
    ),
    "element: a discriminator that leads nowhere": (
        profile,
        lambda one: put(element(one, 1), "slicing", "discriminator", 0, "path", "systems"),
        "element",
        "StructureDefinition.differential.element[1].slicing.discriminator[0].path",
        "has no element systems",
    ),
    "element: a slicing without a discriminator": (
        profile,
        lambda one: element(one, 1)["slicing"].pop("discriminator"),
        "element",
        "StructureDefinition.differential.element[1].slicing",
        "needs a discriminator",
    ),
    "element: fewer than R4": (
        lambda: structure("Task", [{"id": "Task.status", "path": "Task.status", "min": 0}]),
        lambda one: None,
        "element",
        "StructureDefinition.differential.element[0].min",
        "1 at least",
    ),
    "element: more than R4": (
        profile,
        lambda one: put(element(one, 4), "max", "*"),
        "element",
        "StructureDefinition.differential.element[4].max",
        "1 at most",
    ),
    "element: more at least than at most": (
        profile,
        lambda one: put(element(one, 4), "min", 2),
        "element",
        "StructureDefinition.differential.element[4].min",
        "more than max",
    ),
    "element: a type R4 does not allow": (
        profile,
        lambda one: put(element(one, 5), "type", 0, "code", "date"),
        "element",
        "StructureDefinition.differential.element[5].type[0].code",
        "R4 allows boolean, dateTime",
    ),
    "element: a target R4 does not allow": (
        lambda: structure(
            "Task",
            [
                {
                    "id": "Task.requester",
                    "path": "Task.requester",
                    "type": [{"code": "Reference", "targetProfile": [f"{CORE}/CarePlan"]}],
                }
            ],
        ),
        lambda one: None,
        "element",
        "StructureDefinition.differential.element[0].type[0].targetProfile[0]",
        "R4 allows Device",
    ),
    "element: a value of another type": (
        profile,
        lambda one: put(element(one, 3), "fixedCode", element(one, 3).pop("fixedUri")),
        "element",
        "StructureDefinition.differential.element[3].fixedCode",
        "of type uri",
    ),
    "element: a code outside of R4's binding": (
        profile,
        lambda one: put(element(one, 4), "patternCode", "woman"),
        "element",
        "StructureDefinition.differential.element[4].patternCode",
        "is not in",
    ),
    "element: a weaker binding": (
        profile,
        lambda one: put(element(one, 4), "binding", "strength", "preferred"),
        "element",
        "StructureDefinition.differential.element[4].binding.strength",
        "stays so",
    ),
    "element: another order": (
        profile,
        lambda one: one["differential"]["element"].insert(1, one["differential"]["element"].pop(5)),
        "element",
        "StructureDefinition.differential.element[2]",
        "comes before",
    ),
    "element: an invariant's key twice": (
        profile,
        lambda one: put(element(one, 1), "constraint", list(element(one, 0)["constraint"])),
        "element",
        "StructureDefinition.differential.element[0].constraint[0].key",
        "is there twice",
    ),
    "element: another base": (
        profile,
        lambda one: put(one, "baseDefinition", f"{CORE}/Person"),
        "element",
        "StructureDefinition.baseDefinition",
        "R4's own",
    ),
    "element: a type that is not": (
        profile,
        lambda one: put(one, "type", "Client"),
        "element",
        "StructureDefinition.type",
        "no type Client",
    ),
    "element: an extension of nothing": (
        extension,
        lambda one: put(one, "context", 0, "expression", "Task.inputs"),
        "element",
        "StructureDefinition.context[0].expression",
        "no element Task.inputs",
    ),
    "element: an extension anywhere": (
        extension,
        lambda one: one.pop("context"),
        "element",
        "StructureDefinition",
        "where it may stand",
    ),
    "element: an extension under another url": (
        extension,
        lambda one: put(element(one, 1), "fixedUri", f"{BASE}/StructureDefinition/msk-tried"),
        "element",
        "StructureDefinition.differential.element[1].fixedUri",
        "its own",
    ),
    "element: a snapshot": (
        profile,
        lambda one: put(one, "snapshot", {"element": [{"id": "Patient", "path": "Patient"}]}),
        "element",
        "StructureDefinition.snapshot",
        "differential alone",
    ),
    "link: an action that is not there": (
        plan,
        lambda one: put(one, "action", 1, "relatedAction", 0, "actionId", "third"),
        "link",
        "PlanDefinition.action[1].relatedAction[0].actionId",
        "no id third",
    ),
    "link: an action twice": (
        plan,
        lambda one: put(one, "action", 1, "id", "first"),
        "link",
        "PlanDefinition.action[0].id",
        "there 2 times",
    ),
    "link: a question that is not there": (
        form,
        lambda one: put(one, "item", 1, "enableWhen", 0, "question", "3"),
        "link",
        "Questionnaire.item[1].enableWhen[0].question",
        "no linkId 3",
    ),
    "link: an item twice": (
        form,
        lambda one: put(one, "item", 1, "linkId", "1"),
        "link",
        "Questionnaire.item[0].linkId",
        "there 2 times",
    ),
}
"""By what is wrong: a good artefact, the change that breaks it, the rule, the place, and part of the text."""


def test_what_ships_has_no_findings_and_is_checked_quickly() -> None:
    began = time.process_time()
    report = check(read_shipped())
    assert time.process_time() - began < SHORT_ENOUGH_SECONDS
    assert [str(finding) for finding in report.findings] == []
    assert report.artefacts == len(shipped())


@pytest.mark.parametrize("made", GOOD, ids=lambda made: made.__name__)
def test_the_artefacts_that_are_broken_below_are_good(made: Callable[[], Json]) -> None:
    assert checked(made()).findings == ()


@pytest.mark.parametrize("name", BROKEN)
def test_each_kind_of_fault_is_found_at_its_place(name: str) -> None:
    made, change, rule, expression, text = BROKEN[name]
    resource = made()
    change(resource)
    findings = [(one.rule, one.expression) for one in checked(resource).findings if text in one.text]
    assert (rule, expression) in findings


def test_codes_of_other_publishers_are_told_as_not_checked() -> None:
    resource = plan()
    resource["topic"] = [{"coding": [{"system": "http://snomed.info/sct", "code": "239873007"}]}]
    report = checked(resource)
    assert report.findings == ()
    assert [(one.system, one.codes) for one in report.unchecked] == [("http://snomed.info/sct", 1)]


def test_a_condition_on_a_score_and_an_answer_that_there_are() -> None:
    resource = plan()
    text = f"%scores.where(code.coding.code = 'oks.total').exists() and {ANSWERS}.where(linkId = 'q1').answer.value"
    put(resource, "action", 0, "condition", 0, "expression", "expression", f"{text}.code = '4'")
    assert checked(resource).findings == ()


def test_given_files_may_refer_to_each_other_and_stand_for_shipped_ones() -> None:
    form_of_plan, of_plan = form(), plan()
    of_plan["action"][0]["definitionCanonical"] = f"{BASE}/Questionnaire/tried|1.0.0"
    given = [Artefact("a.json", "{}", form_of_plan), Artefact("b.json", "{}", of_plan)]
    assert check(shipped(), given).findings == ()
    (again,) = (one for one in shipped() if one.canonical[0] == f"{BASE}/CodeSystem/msk-timepoint")
    assert check(shipped(), [again]).findings == ()


def test_lines() -> None:
    text = '{\n  "a": [\n    {"b": 1},\n    {\n      "valueCode": "x"\n    }\n  ],\n  "c": {}\n}'
    assert [line_of(text, path) for path in ((), ("a",), ("a", 0), ("a", 1), ("a", 1, "value"), ("c",))] == [
        1, 2, 3, 4, 5, 8
    ]  # fmt: skip
    assert line_of(text, ("a", 1, "missing", "deeper")) == 4
    assert path_of("Plan.action[2].title") == ("action", 2, "title")


def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fhir_server.cli.main", "content", "check", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_names_file_and_line_and_ends_with_1(tmp_path: Path) -> None:
    broken = plan()
    broken["action"][0]["definitionCanonical"] = f"{BASE}/Questionnaire/okss|1.0.0"
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(broken, indent=2))
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "okss" in text)
    answer = call(path)
    assert answer.returncode == 1
    assert answer.stdout.startswith(f"{path}:{line}: canonical: PlanDefinition.action[0].definitionCanonical: ")
    assert answer.stdout.endswith("1 artefacts, 1 findings.\n")
    told = json.loads(call("--json", path).stdout)
    (finding,) = told["findings"]
    assert (finding["file"], finding["line"], finding["rule"]) == (str(path), line, "canonical")


def test_a_file_that_holds_no_resource(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text('{"resourceType": "Patient",')
    answer = call(path)
    assert answer.returncode == 1
    assert answer.stdout.startswith(f"{path}:1: structure: Resource: ")


def test_the_command_over_all_that_ships() -> None:
    answer = call()
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.endswith(f"{len(shipped())} artefacts, no findings.\n")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    answer = call(tmp_path / "none.json")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "No such file" in answer.stderr
