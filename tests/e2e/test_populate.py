"""Questionnaire $populate over HTTP (SDC Questionnaire-populate), on a real server of each engine."""

from uuid import uuid4

import httpx
import pytest

CORE = "http://hl7.org/fhir/StructureDefinition/"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
SYSTEM = "http://hl7.org/fhir/administrative-gender"
LOINC = "http://loinc.org"


@pytest.fixture(scope="module")
def client(base_url):
    with httpx.Client(base_url=f"{base_url}/", timeout=60) as client:
        yield client


@pytest.fixture
def name():
    return f"p{uuid4().hex}"


def expression(text, name=None, language="text/fhirpath"):
    return {"language": language, "expression": text, **({"name": name} if name else {})}


def variable(name, text, language="text/fhirpath"):
    return {"url": f"{CORE}variable", "valueExpression": expression(text, name, language)}


def launch(name, kind):
    parts = [{"url": "name", "valueCoding": {"code": name}}, {"url": "type", "valueCode": kind}]
    return {"url": f"{SDC}launchContext", "extension": parts}


def item(link_id, kind, initial=None, **elements):
    first = [{"url": f"{SDC}initialExpression", "valueExpression": expression(initial)}] if initial else []
    return {"linkId": link_id, "type": kind, **({"extension": first} if first else {}), **elements}


def form(name, *items, extension=(), **elements):
    return {
        "resourceType": "Questionnaire",
        "id": name,
        "url": f"urn:test:{name}",
        "version": "1",
        "status": "active",
        "item": list(items),
        **({"extension": list(extension)} if extension else {}),
        **elements,
    }


def put(client, resource):
    answer = client.put(f"{resource['resourceType']}/{resource['id']}", json=resource)
    assert answer.status_code in (200, 201), answer.text


def call(client, url, *parameters):
    """Of somebody else's patient, of whom nothing is known here, unless the parameters say of whom."""
    if all(one["name"] != "subject" for one in parameters):
        parameters = (*parameters, {"name": "subject", "valueReference": {"reference": f"{ELSEWHERE}/Patient/1"}})
    body = {"resourceType": "Parameters", "parameter": list(parameters)}
    return client.post(f"{url}/$populate", json=body)


def populated(client, url, *parameters):
    """The response, and the diagnostics of the issues."""
    answer = call(client, url, *parameters)
    assert answer.status_code == 200, answer.text
    parts = {part["name"]: part["resource"] for part in answer.json()["parameter"]}
    outcome = parts.get("issues", {"issue": []})
    assert client.post("QuestionnaireResponse/$validate?mode=create", json=parts["response"]).json()["issue"][0][
        "severity"
    ] in ("information", "warning")
    return parts["response"], [issue["diagnostics"] for issue in outcome["issue"]]


def values(response):
    """linkId -> the values answered, of the items at the top."""
    return {
        one["linkId"]: [value for answer in one.get("answer", ()) for key, value in answer.items() if key != "item"]
        for one in response.get("item", ())
    }


def subject(name):
    return {"name": "subject", "valueReference": {"reference": f"Patient/{name}"}}


ELSEWHERE = "https://elsewhere.example.org/fhir"
LOCAL = {"name": "local", "valueBoolean": True}


def person(name):
    return {
        "resourceType": "Patient",
        "id": name,
        "gender": "female",
        "birthDate": "1960-05-04",
        "name": [{"family": "Quill", "given": ["Ada", "B"]}],
        "generalPractitioner": [{"reference": "Practitioner/gp"}],
    }


DEMOGRAPHICS = (
    item("family", "string", "%patient.name.family", text="Family name"),
    item("given", "string", "%patient.name.given", repeats=True),
    item("born", "date", "%patient.birthDate"),
    item("gender", "choice", "%patient.gender", answerOption=[
        {"valueCoding": {"system": SYSTEM, "code": code}} for code in ("male", "female")
    ]),
    item("gp", "reference", "%patient.generalPractitioner"),
    item("self", "reference", "%patient"),
    item("adult", "boolean", "%patient.birthDate < @2000-01-01"),
    item("other", "string"),
)  # fmt: skip


def test_demographics_of_the_subject(client, name):
    put(client, person(name))
    put(client, form(name, *DEMOGRAPHICS, extension=[launch("patient", "Patient")]))
    response, issues = populated(client, f"Questionnaire/{name}", subject(name), LOCAL)
    assert issues == []
    assert (response["status"], response["questionnaire"]) == ("in-progress", f"urn:test:{name}|1")
    assert response["subject"] == {"reference": f"Patient/{name}"}
    assert response["item"][0]["text"] == "Family name"
    assert values(response) == {
        "family": ["Quill"],
        "given": ["Ada", "B"],
        "born": ["1960-05-04"],
        "gender": [{"system": SYSTEM, "code": "female"}],
        "gp": [{"reference": "Practitioner/gp"}],
        "self": [{"reference": f"Patient/{name}"}],
        "adult": [True],
        "other": [],
    }
    assert "entry" not in client.get(f"QuestionnaireResponse?questionnaire=urn:test:{name}").json(), "never stores"


def test_without_local_nothing_is_read_here(client, name):
    put(client, person(name))
    put(client, form(name, item("a", "string", "%patient.name.family"), extension=[launch("patient", "Patient")]))
    response, issues = populated(client, f"Questionnaire/{name}", subject(name))
    assert (values(response), issues) == ({"a": []}, [])


@pytest.mark.parametrize("sent", ["resource", "reference"])
def test_a_context_that_is_given(client, name, sent):
    put(client, person(name))
    put(client, form(name, item("a", "string", "%patient.name.family"), extension=[launch("patient", "Patient")]))
    content = {"resource": person(name)} if sent == "resource" else {"valueReference": {"reference": f"Patient/{name}"}}
    context = {"name": "context", "part": [{"name": "name", "valueString": "patient"}, {"name": "content", **content}]}
    response, issues = populated(client, f"Questionnaire/{name}", context)
    assert (values(response), issues) == ({"a": ["Quill"]}, [])


def test_variables_groups_and_what_stands_below_an_answer(client, name):
    """SDC expressions.html#variables: each sees those before it, an item's own is for it and all below."""
    below = item("d", "string", "%word")
    group = item(
        "g", "group", extension=[variable("word", "%two.toString() & '!'")], item=[item("c", "string", "%word")]
    )
    group["item"].append({**item("q", "integer", "%two"), "item": [below]})
    put(client, form(name, group, extension=[variable("one", "1"), variable("two", "%one + 1")]))
    response, issues = populated(client, f"Questionnaire/{name}")
    assert issues == []
    assert response["item"] == [
        {
            "linkId": "g",
            "item": [
                {"linkId": "c", "answer": [{"valueString": "2!"}]},
                {
                    "linkId": "q",
                    "answer": [{"valueInteger": 2, "item": [{"linkId": "d", "answer": [{"valueString": "2!"}]}]}],
                },
            ],
        }
    ]


def test_initial_values(client, name):
    """R4 Questionnaire.item.initial, answerOption.initialSelected; an expression that gives something goes first."""
    options = [{"valueCoding": {"code": "a"}}, {"valueCoding": {"code": "b"}, "initialSelected": True}]
    first = {**item("c", "integer", "{}"), "initial": [{"valueInteger": 7}]}
    second = {**item("d", "integer", "8"), "initial": [{"valueInteger": 7}]}
    put(
        client,
        form(
            name,
            item("a", "string", initial=None) | {"initial": [{"valueString": "x"}]},
            item("b", "choice", answerOption=options),
            first,
            second,
        ),
    )
    response, issues = populated(client, f"Questionnaire/{name}")
    assert issues == []
    assert values(response) == {"a": ["x"], "b": [{"code": "b"}], "c": [7], "d": [8]}


def test_earlier_scores(client, name):
    """SDC populate.html: a root variable that is a query, with the patient's id embedded."""
    put(client, person(name))
    for day, value in (("01", 20), ("02", 31)):
        put(
            client,
            {
                "resourceType": "Observation",
                "id": f"{name}-{day}",
                "status": "final",
                "code": {"coding": [{"system": LOINC, "code": "x-1"}]},
                "subject": {"reference": f"Patient/{name}"},
                "effectiveDateTime": f"2026-01-{day}",
                "valueQuantity": {"value": value, "unit": "score"},
            },
        )
    query = f"Observation?patient={{{{%patient.id}}}}&code={LOINC}|x-1&_sort=-date&_count=1"
    extension = [launch("patient", "Patient"), variable("last", query, "application/x-fhir-query")]
    score = item("score", "decimal", "%last.entry.resource.value.value")
    put(client, form(name, score, extension=extension))
    assert values(populated(client, f"Questionnaire/{name}", subject(name), LOCAL)[0]) == {"score": [31]}
    response, issues = populated(client, f"Questionnaire/{name}", subject(name))
    assert (values(response), len(issues)) == ({"score": []}, 2), "no query without local, and it is told"
    response, _ = populated(client, f"Questionnaire/{name}", LOCAL)
    assert values(response) == {"score": []}, "without a patient it is not a query of everybody"


def test_what_does_not_fit_is_left_out_and_told(client, name):
    limit = {"url": f"{CORE}maxValue", "valueInteger": 5}
    beyond = item("a", "integer", "6")
    beyond["extension"].append(limit)
    broken = [item("d", "integer", "%nobody.age"), item("e", "integer", "1 +")]
    put(client, form(name, beyond, item("b", "integer", "'x'"), item("c", "integer", "1 | 2"), *broken))
    response, issues = populated(client, f"Questionnaire/{name}")
    assert values(response) == {"a": [], "b": [], "c": [], "d": [], "e": []}
    assert [text.split()[1] for text in issues] == ["a", "b", "c", "d", "e"]


def test_whose_answers_they_are_is_required_and_known(client, name):
    """SDC OperationDefinition Questionnaire-populate: subject 1..1."""
    put(client, form(name, item("a", "integer", "1"), subjectType=["Patient"]))
    url, body = f"Questionnaire/{name}/$populate", {"resourceType": "Parameters"}
    refused = client.post(url, json=body)
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "required")
    for reference, code in (("Patient/never-was", "not-found"), ("Group/g", "business-rule")):
        parameter = {"name": "subject", "valueReference": {"reference": reference}}
        refused = client.post(url, json=body | {"parameter": [parameter]})
        issue = refused.json()["issue"][0]
        assert (refused.status_code, issue["code"]) == (422, code), refused.text
        assert issue["expression"] == ["Parameters.parameter.where(name='subject').value"]


@pytest.mark.parametrize("way", ["canonical", "reference", "resource", "identifier"])
def test_the_type_level(client, name, way):
    questionnaire = form(name, item("a", "integer", "1"), identifier=[{"system": "urn:test", "value": name}])
    put(client, questionnaire)
    parameter = {
        "canonical": {"name": "questionnaire", "valueUri": f"urn:test:{name}|1"},
        "reference": {"name": "questionnaire", "valueReference": {"reference": f"Questionnaire/{name}"}},
        "resource": {"name": "questionnaire", "resource": questionnaire},
        "identifier": {"name": "identifier", "valueIdentifier": {"system": "urn:test", "value": name}},
    }[way]
    assert values(populated(client, "Questionnaire", parameter)[0]) == {"a": [1]}


@pytest.mark.parametrize(
    ("url", "parameters", "status"),
    [
        ("Questionnaire/nowhere", [], 404),
        ("Questionnaire", [], 400),
        ("Questionnaire", [{"name": "questionnaire", "valueUri": "urn:test:nowhere"}], 404),
        ("Questionnaire", [{"name": "questionnaire", "valueInteger": 1}], 400),
        ("Questionnaire", [{"name": "questionnaire", "resource": {"resourceType": "Questionnaire"}}], 400),
        ("Questionnaire", [{"name": "questionnaire", "resource": {"resourceType": "Patient"}}], 400),
        ("Questionnaire", [{"name": "identifier", "valueIdentifier": {"value": "none-has-it"}}], 404),
        ("Questionnaire", [{"name": "context", "part": [{"name": "name", "valueString": "x"}]}], 400),
        ("Questionnaire", [{"name": "context", "part": 1}], 400),
        ("Questionnaire", [{"name": "data", "resource": {"resourceType": "Bundle", "type": "collection"}}], 400),
    ],
)
def test_what_is_refused(client, url, parameters, status):
    answer = call(client, url, *parameters)
    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")


def test_a_context_of_another_type_or_name(client, name):
    put(client, form(name, item("a", "integer", "1"), extension=[launch("patient", "Patient")]))
    parts = [{"name": "name", "valueString": "patient"}, {"name": "content", "resource": {"resourceType": "Group"}}]
    parts[1]["resource"] |= {"type": "person", "actual": True}
    context = {"name": "context", "part": parts}
    assert call(client, f"Questionnaire/{name}", context).status_code == 400
    parts[0]["valueString"] = "unknown"
    response, issues = populated(client, f"Questionnaire/{name}", context)
    assert (values(response), len(issues)) == ({"a": [1]}, 1)
