"""capabilities: R4 http.html#capabilities, capabilitystatement.html; what the statement declares is there."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server import spec
from fhir_server.errors import InvalidSearch
from fhir_server.interactions.exchange import Server
from fhir_server.operations.served import served_operations
from fhir_server.search.include import inclusions
from fhir_server.search.parse import parse_search
from fhir_server.search.registry import R4
from fhir_server.search.request import SearchRequest
from fhir_server.settings import Settings
from fhir_server.storage.base import Store
from tests.interactions.conftest import BASE_URL, Answer, Client, Json, patient

pytestmark = pytest.mark.asyncio(loop_scope="module")

VALUES = {
    "date": "2026-01-01",
    "number": "1",
    "quantity": "1",
    "reference": "1",
    "string": "a",
    "token": "true",
    "uri": "urn:x:a",
}
"""A plain value for each search parameter type (R4 search.html#ptypes); the token also fits boolean elements."""

SPECIAL = {("Location", "near"): "51.5|-0.1", ("DocumentReference", "relationship"): "a$DocumentReference/1"}

OF_EVERY_TYPE = {"_text": "knee", "_content": "knee", "_list": "1", "_filter": "_id pr true"}
MODIFIED = {
    "missing": "true",
    "in": "http://hl7.org/fhir/ValueSet/observation-status",
    "not-in": "http://hl7.org/fhir/ValueSet/observation-status",
    "of-type": "urn:x|a|1",
    "above": "urn:x|a",
    "below": "urn:x|a",
}
"""A value for a modifier that does not take that of its parameter; URIs have no | but R4's canonicals do."""
MODIFIERS = {"missing", "exact", "contains", "text", "not", "in", "not-in", "above", "below", "of-type", "identifier"}


@pytest.fixture(scope="module")
def client(store: Store, settings: Settings) -> Client:
    """With the operations of a real server."""
    return Client(Server(store, settings, served_operations(settings.canonical_base)))


@pytest.fixture
async def statement(client: Client) -> Json:
    return (await client.get("metadata")).resource


def value_of(resource_type: str, name: str, kind: str) -> str:
    if (resource_type, name) in SPECIAL:
        return SPECIAL[resource_type, name]
    if name in OF_EVERY_TYPE:
        return OF_EVERY_TYPE[name]
    if kind == "composite":
        return "$".join(VALUES[one.type] for one in spec.search_parameters(resource_type)[name].components)
    return VALUES[kind]


class TestStatement:
    async def test_says_what_r4_requires(self, client: Client) -> None:
        """The mandatory elements, and cpb-1, cpb-2, cpb-15: implementation and its URL for an instance."""
        answer = await client.get("metadata")
        found = answer.resource
        assert (answer.status, found["resourceType"], found["fhirVersion"]) == (200, "CapabilityStatement", "4.0.1")
        assert {"status", "date", "kind", "format"} <= set(found)
        assert (found["kind"], found["implementation"]["url"]) == ("instance", BASE_URL)
        (rest,) = found["rest"]
        assert rest["mode"] == "server"

    async def test_is_a_valid_resource(self, client: Client, statement: Json) -> None:
        assert (await client.post("CapabilityStatement", statement)).status == 201

    async def test_names_every_type_once(self, statement: Json) -> None:
        """cpb-9."""
        types = [resource["type"] for resource in statement["rest"][0]["resource"]]
        assert len(types) == len(set(types)) == 146

    async def test_names_every_search_parameter_once(self, statement: Json) -> None:
        """cpb-12."""
        for resource in statement["rest"][0]["resource"]:
            names = [one["name"] for one in resource["searchParam"]]
            assert len(names) == len(set(names)), resource["type"]
            assert {"_id", "_lastUpdated"} <= set(names)

    async def test_follows_the_setting_of_client_ids(self, client: Client, statement: Json) -> None:
        strict = (await client.with_settings(client_ids=False).get("metadata")).resource
        assert {one["updateCreate"] for one in statement["rest"][0]["resource"]} == {True}
        assert {one["updateCreate"] for one in strict["rest"][0]["resource"]} == {False}

    async def test_modes(self, client: Client) -> None:
        assert (await client.get("metadata?mode=full")).status == 200
        assert (await client.get("metadata?mode=terminology")).status == 400
        assert (await client.post("metadata", patient())).status == 405


class TestInteractions:
    async def test_every_declared_one_answers(self, client: Client, statement: Json, name: str) -> None:
        """On Basic and Patient, of which a minimal resource is known to be valid."""
        calls: dict[str, Callable[[str, Json], Any]] = {
            "create": lambda t, r: client.post(t, r),
            "update": lambda t, r: client.put(f"{t}/{name}", {**r, "id": name}),
            "patch": lambda t, r: client.patch(f"{t}/{name}", [{"op": "add", "path": "/language", "value": "en"}]),
            "read": lambda t, r: client.get(f"{t}/{name}"),
            "vread": lambda t, r: client.get(f"{t}/{name}/_history/1"),
            "history-instance": lambda t, r: client.get(f"{t}/{name}/_history"),
            "history-type": lambda t, r: client.get(f"{t}/_history"),
            "search-type": lambda t, r: client.get(t),
            "delete": lambda t, r: client.delete(f"{t}/{name}"),
        }
        minimal: list[Json] = [patient(), {"resourceType": "Basic", "code": {"text": "a"}}]
        declared = {one["type"]: one for one in statement["rest"][0]["resource"]}
        for resource in minimal:
            codes = {one["code"] for one in declared[resource["resourceType"]]["interaction"]}
            assert codes == set(calls)
            for code, call in calls.items():
                answer: Answer = await call(resource["resourceType"], resource)
                assert answer.status in (200, 201, 204), (code, answer.body)

    async def test_every_type_can_be_read_searched_and_its_history_asked(self, client: Client, statement: Json) -> None:
        for resource in statement["rest"][0]["resource"]:
            resource_type = resource["type"]
            assert (await client.get(f"{resource_type}/nobody-has-this-id")).status == 404
            assert (await client.get(f"{resource_type}/_history")).status == 200
            assert (await client.get(resource_type)).status == 200

    async def test_of_the_system(self, client: Client, statement: Json) -> None:
        codes = {one["code"] for one in statement["rest"][0]["interaction"]}
        assert codes == {"transaction", "batch", "search-system", "history-system"}
        assert (await client.get("?_type=Patient")).status == 200
        for kind in ("batch", "transaction"):
            assert (await client.post("", {"resourceType": "Bundle", "type": kind})).status == 200
        assert (await client.get("_history")).status == 200

    async def test_conditional_ones(self, client: Client, statement: Json, name: str) -> None:
        (declared,) = [one for one in statement["rest"][0]["resource"] if one["type"] == "Patient"]
        assert (declared["conditionalCreate"], declared["conditionalUpdate"]) == (True, True)
        assert (declared["conditionalRead"], declared["conditionalDelete"]) == ("full-support", "single")
        created = await client.put(f"Patient?_id={name}", patient(name))
        assert created.status == 201
        assert (await client.post("Patient", patient(), if_none_exist=f"_id={name}")).status == 200
        assert (await client.get(f"Patient/{name}", if_none_match=created.headers["ETag"])).status == 304
        since = created.headers["Last-Modified"]
        assert (await client.get(f"Patient/{name}", if_modified_since=since)).status == 304
        assert (await client.delete(f"Patient?_id={name}")).status == 204

    async def test_the_patch_format(self, client: Client, statement: Json, name: str) -> None:
        assert statement["patchFormat"] == ["application/fhir+json", "application/json-patch+json"]
        await client.stored(patient(name))
        data = b64encode(b'[{"op":"add","path":"/active","value":true}]').decode()
        binary = {"resourceType": "Binary", "contentType": statement["patchFormat"][1], "data": data}
        entry = {"resource": binary, "request": {"method": "PATCH", "url": f"Patient/{name}"}}
        answer = await client.post("", {"resourceType": "Bundle", "type": "batch", "entry": [entry]})
        assert answer.entries[0]["response"]["status"].startswith("200")


class TestOperations:
    async def test_every_declared_one_is_known(self, client: Client, statement: Json) -> None:
        """Called without parameters it may refuse, but not as unknown at both levels."""
        rest = statement["rest"][0]
        places = [("", one["name"]) for one in rest["operation"]]
        places += [(f"{one['type']}/", named["name"]) for one in rest["resource"] for named in one["operation"]]
        places.append(("Patient/", "unheard-of"))
        unknown = []
        for place, code in places:
            calls = [f"{place}${code}", *([f"{place}nobody-has-this-id/${code}"] if place else [])]
            answers = [await client.post(call, {"resourceType": "Parameters"}) for call in calls]
            if all(answer.status == 404 and answer.issue["code"] == "not-supported" for answer in answers):
                unknown.append((place, code))
        assert unknown == [("Patient/", "unheard-of")]

    async def test_a_server_without_operations_declares_none(self, client: Client) -> None:
        bare = Client(Server(client.server.store, client.server.settings))
        rest = (await bare.get("metadata")).resource["rest"][0]
        assert "operation" not in rest
        assert not any("operation" in one for one in rest["resource"])


class TestIncludes:
    async def test_every_declared_one_is_followed(self, client: Client, statement: Json) -> None:
        """Of all types those by a wildcard and the first by name on the store, and every one by the parser."""
        named = statement["rest"][0]["documentation"].partition("searchRevInclude names: ")[2]
        of_any = named.removesuffix(".").split(", ")
        assert {"Provenance:target", "Task:focus", "List:item", "Composition:entry"} <= set(of_any)
        for resource in statement["rest"][0]["resource"]:
            resource_type = resource["type"]
            for name, key in (("_include", "searchInclude"), ("_revinclude", "searchRevInclude")):
                for value in resource.get(key, ()):
                    (include,) = parse_search(resource_type, [(name, value)], strict=True).includes
                    assert inclusions(R4, SearchRequest(resource_type, includes=(include,)))
            for value in of_any if resource_type != "Parameters" else ():
                (include,) = parse_search(resource_type, [("_revinclude", value)], strict=True).includes
                assert inclusions(R4, SearchRequest(resource_type, includes=(include,)))
            tried = [("_revinclude", resource["searchRevInclude"][-1]), ("_revinclude", "*"), ("_count", "1")]
            tried += [("_include", value) for value in resource.get("searchInclude", ())[-1:]]
            answer = await client.send("GET", resource_type, query=tried)
            assert answer.status == 200, answer.body

    async def test_known_ones_are_declared(self, statement: Json) -> None:
        """R4 search.html#include's own examples."""
        declared = {one["type"]: one for one in statement["rest"][0]["resource"]}
        assert {"*", "MedicationRequest:*", "MedicationRequest:patient"} <= set(
            declared["MedicationRequest"]["searchInclude"]
        )
        assert "Provenance:target" in declared["MedicationRequest"]["searchRevInclude"]
        assert "Observation:subject" not in declared["MedicationRequest"]["searchRevInclude"]

    async def test_references_to_any_type_are_named_once(self, client: Client, statement: Json) -> None:
        """A third of a megabyte else, which every client reads first."""
        for resource in statement["rest"][0]["resource"]:
            assert "Task:focus" not in resource["searchRevInclude"], resource["type"]
        body = (await client.get("metadata")).body
        assert isinstance(body, bytes)
        assert len(body) < 700_000

    async def test_every_declared_compartment_and_common_parameter(self, client: Client, statement: Json) -> None:
        rest = statement["rest"][0]
        names = [one.rpartition("/")[2] for one in rest["compartment"]]
        assert names == ["device", "encounter", "patient", "practitioner", "relatedperson"]
        for name in ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"):
            assert (await client.get(f"{name}/x/Observation")).status == 200
        assert {"_id", "_lastUpdated", "_tag"} <= {one["name"] for one in rest["searchParam"]}
        for one in rest["searchParam"]:
            value = value_of("Basic", one["name"], one["type"])
            answer = await client.send("GET", "", query=[(one["name"], value)], prefer="handling=strict")
            assert answer.status == 200, answer.body


class TestSearchParameters:
    async def test_every_declared_one_works(self, client: Client, statement: Json) -> None:
        """Strictly: it is known, takes a plain value and the self link keeps it."""
        tried = 0
        for resource in statement["rest"][0]["resource"]:
            resource_type = resource["type"]
            for parameter in resource["searchParam"]:
                tried += 1
                name = parameter["name"]
                value = value_of(resource_type, name, parameter["type"])
                answer = await client.send(
                    "GET", resource_type, query=[(name, value), ("_summary", "count")], prefer="handling=strict"
                )
                assert answer.status == 200, (resource_type, name, value, answer.body)
                assert str(answer.link("self")).startswith(f"{resource_type}?{name}="), (resource_type, name)
        assert tried > 1000

    async def test_exactly_the_declared_modifiers_are_read(self, statement: Json) -> None:
        """R4 search.html#modifiers: a modifier that is not supported is refused."""
        tried = 0
        for resource in statement["rest"][0]["resource"]:
            for parameter in resource["searchParam"]:
                declared = set(re.findall(r":([a-z-]+)", parameter.get("documentation", "")))
                for modifier in MODIFIERS:
                    pair = (f"{parameter['name']}:{modifier}", "true")
                    try:
                        parse_search(resource["type"], [pair], strict=True)
                    except InvalidSearch:
                        assert modifier not in declared, (resource["type"], pair)
                    else:
                        assert modifier in declared, (resource["type"], pair)
                        tried += 1
        assert tried > 5000

    async def test_every_declared_modifier_works(self, client: Client, statement: Json) -> None:
        tried = 0
        for resource in statement["rest"][0]["resource"]:
            if resource["type"] not in ("Patient", "Observation", "Task", "Questionnaire", "CarePlan", "Location"):
                continue
            for parameter in resource["searchParam"]:
                for modifier in re.findall(r":([a-z-]+)", parameter.get("documentation", "")):
                    plain = value_of(resource["type"], parameter["name"], parameter["type"])
                    value = MODIFIED.get(modifier, plain) if parameter["type"] == "token" else plain
                    value = "true" if modifier == "missing" else value
                    name = f"{parameter['name']}:{modifier}"
                    answer = await client.send("GET", resource["type"], query=[(name, value)], prefer="handling=strict")
                    # A code system that is not stored settles nothing (docs/spec-clarifications/terminology.md).
                    unsettled = modifier in ("above", "below") and parameter["type"] == "token"
                    expected = (400, "not-found") if unsettled else (200, "")
                    code = answer.issue["code"] if answer.status != 200 else ""
                    assert (answer.status, code) == expected, (resource["type"], name, value, answer.body)
                    tried += 1
        assert tried > 300

    @pytest.mark.parametrize(
        ("resource_type", "name", "kind", "definition"),
        [
            ("Patient", "birthdate", "date", "individual-birthdate"),
            ("Patient", "identifier", "token", "Patient-identifier"),
            ("Observation", "patient", "reference", "clinical-patient"),
            ("Observation", "code-value-quantity", "composite", "Observation-code-value-quantity"),
            ("Task", "_id", "token", "Resource-id"),
        ],
    )
    async def test_are_declared_with_r4s_type_and_definition(
        self, statement: Json, resource_type: str, name: str, kind: str, definition: str
    ) -> None:
        (resource,) = [one for one in statement["rest"][0]["resource"] if one["type"] == resource_type]
        (found,) = [one for one in resource["searchParam"] if one["name"] == name]
        found.pop("documentation", None)
        assert found == {"name": name, "type": kind, "definition": f"http://hl7.org/fhir/SearchParameter/{definition}"}
