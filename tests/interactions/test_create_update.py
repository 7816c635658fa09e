"""create, update and their conditional forms: R4 http.html#create, #ccreate, #update, #upsert, #cond-update, #ops.

Also #concurrency (If-Match), #versioning (ETag, Last-Modified) and RFC 9110 13.1.2 (If-None-Match on a write).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from tests.interactions.conftest import BASE_URL, SYSTEM, Client, Json, numbered, patient

pytestmark = pytest.mark.asyncio(loop_scope="module")


class TestCreate:
    async def test_answers_201_with_location_etag_and_the_resource(self, client: Client, name: str) -> None:
        before = datetime.now(UTC).replace(microsecond=0)
        answer = await client.post("Patient", numbered(name))
        assert answer.status == 201
        assert re.fullmatch(rf"{BASE_URL}/Patient/[A-Za-z0-9\-.]{{1,64}}/_history/1", answer.headers["Location"])
        assert answer.headers["ETag"] == 'W/"1"'
        modified = parsedate_to_datetime(answer.headers["Last-Modified"])
        assert before <= modified <= datetime.now(UTC)
        meta = answer.resource["meta"]
        assert meta["versionId"] == "1"
        assert datetime.fromisoformat(meta["lastUpdated"]).replace(microsecond=0) == modified

    async def test_passes_over_the_id_and_versions_sent(self, client: Client, name: str) -> None:
        sent = patient(name, meta={"versionId": "9", "lastUpdated": "2001-01-01T00:00:00Z", "source": "urn:x:here"})
        answer = await client.post("Patient", sent)
        assert (answer.status, answer.resource["meta"]["versionId"]) == (201, "1")
        assert answer.resource["id"] == answer.id != name
        assert answer.resource["meta"]["source"] == "urn:x:here"
        assert not answer.resource["meta"]["lastUpdated"].startswith("2001")
        assert (await client.get(f"Patient/{name}")).status == 404

    async def test_makes_absolute_references_to_this_server_relative(self, client: Client) -> None:
        answer = await client.post("Patient", patient(managingOrganization={"reference": f"{BASE_URL}/Organization/o"}))
        assert answer.resource["managingOrganization"] == {"reference": "Organization/o"}

    @pytest.mark.parametrize(
        ("path", "body", "status", "expression"),
        [
            ("Patient", b"{", 400, None),
            ("Patient", b"", 400, None),
            ("Patient", {"id": "x"}, 400, ["resourceType"]),
            ("Patient", {"resourceType": "Group"}, 400, ["resourceType"]),
            ("Patient", patient(gender="unheard-of"), 400, ["Patient.gender"]),
            ("Patient", patient(nickname="Bo"), 400, ["Patient.nickname"]),
            ("Patient", patient(name=[{"family": 1}]), 400, ["Patient.name[0].family"]),
            ("Observation", {"resourceType": "Observation", "code": {"text": "a"}}, 400, ["Observation.status"]),
            ("Pet", {"resourceType": "Pet"}, 404, None),
        ],
    )
    async def test_names_what_is_wrong(
        self, client: Client, path: str, body: Json | bytes, status: int, expression: list[str] | None
    ) -> None:
        answer = await client.post(path, body)
        assert answer.status == status
        assert answer.issue["severity"] == "error"
        if expression is not None:
            assert answer.issue["expression"] == expression


class TestCriteriaInTheUrl:
    """R4 knows If-None-Exist only; clients such as fhirpy's get_or_create send the criteria as parameters."""

    async def test_are_a_condition(self, client: Client, name: str) -> None:
        url = f"Patient?identifier={SYSTEM}|{name}"
        first, second = await client.post(url, numbered(name)), await client.post(url, numbered(name))
        assert (first.status, second.status, second.id) == (201, 200, first.id)

    async def test_that_do_not_select_are_refused(self, client: Client, name: str) -> None:
        assert (await client.post("Patient?nonsense=1", numbered(name))).status == 400
        assert (await client.post("Patient?_format=json", numbered(name))).status == 201

    async def test_beside_if_none_exist_are_refused(self, client: Client, name: str) -> None:
        answer = await client.post(
            f"Patient?identifier={SYSTEM}|{name}", numbered(name), if_none_exist=f"identifier={SYSTEM}|{name}"
        )
        assert (answer.status, answer.issue["code"]) == (400, "value")


class TestConditionalCreate:
    """R4 http.html#ccreate: no match creates, one match is a 200 that changes nothing, several are a 412."""

    async def test_creates_when_nothing_matches(self, client: Client, name: str) -> None:
        answer = await client.post("Patient", numbered(name), if_none_exist=f"identifier={SYSTEM}|{name}")
        assert (answer.status, answer.headers["ETag"]) == (201, 'W/"1"')

    async def test_changes_nothing_when_one_matches(self, client: Client, name: str) -> None:
        first = await client.post("Patient", numbered(name))
        again = await client.post("Patient", numbered(name, active=True), if_none_exist=f"identifier={SYSTEM}|{name}")
        assert again.status == 200
        assert again.headers["Location"] == first.headers["Location"]
        assert again.resource == first.resource
        found = await client.get(f"Patient?identifier={SYSTEM}|{name}")
        assert found.resources == [first.resource]

    async def test_refuses_when_several_match(self, client: Client, name: str) -> None:
        for _ in range(2):
            await client.post("Patient", numbered(name))
        answer = await client.post("Patient", numbered(name), if_none_exist=f"identifier={SYSTEM}|{name}")
        assert (answer.status, answer.issue["code"]) == (412, "multiple-matches")
        assert len((await client.get(f"Patient?identifier={SYSTEM}|{name}")).ids) == 2

    async def test_does_not_see_the_deleted(self, client: Client, name: str) -> None:
        first = await client.post("Patient", numbered(name))
        await client.delete(f"Patient/{first.id}")
        answer = await client.post("Patient", numbered(name), if_none_exist=f"identifier={SYSTEM}|{name}")
        assert answer.status == 201

    @pytest.mark.parametrize("criteria", ["", "identifier=", "nonsense=1", "_sort=_id", "_count=1", "family:bad=x"])
    async def test_refuses_criteria_that_do_not_select(self, client: Client, criteria: str) -> None:
        assert (await client.post("Patient", patient(), if_none_exist=criteria)).status == 400


class TestUpdate:
    async def test_creates_under_the_clients_id(self, client: Client, name: str) -> None:
        answer = await client.put(f"Patient/{name}", patient(name))
        assert answer.status == 201
        assert answer.headers["Location"] == f"{BASE_URL}/Patient/{name}/_history/1"
        assert answer.resource["id"] == name

    async def test_makes_a_new_version(self, client: Client, name: str) -> None:
        await client.put(f"Patient/{name}", patient(name, active=True))
        answer = await client.put(f"Patient/{name}", patient(name, active=False))
        assert (answer.status, answer.headers["ETag"]) == (200, 'W/"2"')
        assert answer.headers["Location"] == f"{BASE_URL}/Patient/{name}/_history/2"
        assert "Last-Modified" in answer.headers
        assert (await client.get(f"Patient/{name}")).resource["active"] is False
        assert (await client.get(f"Patient/{name}/_history/1")).resource["active"] is True

    async def test_replaces_the_whole_resource(self, client: Client, name: str) -> None:
        await client.stored(patient(name, active=True, gender="female"))
        await client.stored(patient(name, gender="female"))
        assert "active" not in (await client.get(f"Patient/{name}")).resource

    async def test_that_changes_nothing_makes_no_version(self, client: Client, name: str) -> None:
        first = await client.put(f"Patient/{name}", patient(name, active=True))
        again = await client.put(f"Patient/{name}", first.resource)
        assert (again.status, again.headers["ETag"], again.body) == (200, 'W/"1"', first.body)
        assert (await client.get(f"Patient/{name}/_history")).resource["total"] == 1

    async def test_sees_a_change_of_precision(self, client: Client, name: str) -> None:
        """R4 datatypes.html#decimal: 1.0 and 1.00 are different."""
        body = '{"resourceType":"Basic","id":"%s","code":{"extension":[{"url":"urn:x:d","valueDecimal":%s}]}}'
        await client.put(f"Basic/{name}", (body % (name, "1.0")).encode())
        answer = await client.put(f"Basic/{name}", (body % (name, "1.00")).encode())
        assert answer.headers["ETag"] == 'W/"2"'

    @pytest.mark.parametrize("body", [patient(), patient("another")])
    async def test_needs_the_id_of_the_url_in_the_body(self, client: Client, name: str, body: Json) -> None:
        answer = await client.put(f"Patient/{name}", body)
        assert (answer.status, answer.issue["expression"]) == (400, ["Patient.id"])

    async def test_needs_the_type_of_the_url_in_the_body(self, client: Client, name: str) -> None:
        assert (await client.put(f"Group/{name}", patient(name))).status == 400

    @pytest.mark.parametrize("logical_id", ["a_b", "ä", "x" * 65])
    async def test_refuses_what_cannot_be_an_id(self, client: Client, logical_id: str) -> None:
        assert (await client.put(f"Patient/{logical_id}", patient(logical_id))).status == 400

    async def test_can_be_told_to_make_ids_itself(self, client: Client, name: str) -> None:
        """R4 http.html#update: 405 when the server does not allow client-defined ids."""
        strict = client.with_settings(client_ids=False)
        assert (await strict.put(f"Patient/{name}", patient(name))).status == 405
        created = await strict.post("Patient", patient())
        assert (await strict.put(f"Patient/{created.id}", patient(created.id, active=True))).status == 200


class TestPreconditions:
    async def test_if_match_lets_the_current_version_pass(self, client: Client, name: str) -> None:
        await client.stored(patient(name))
        answer = await client.put(f"Patient/{name}", patient(name, active=True), if_match='W/"1"')
        assert (answer.status, answer.headers["ETag"]) == (200, 'W/"2"')

    async def test_a_stale_if_match_is_refused(self, client: Client, name: str) -> None:
        await client.stored(patient(name))
        await client.stored(patient(name, active=True))
        answer = await client.put(f"Patient/{name}", patient(name, active=False), if_match='W/"1"')
        assert answer.status == 412
        assert (await client.get(f"Patient/{name}")).resource["active"] is True

    async def test_if_match_needs_something_to_match(self, client: Client, name: str) -> None:
        assert (await client.put(f"Patient/{name}", patient(name), if_match='W/"1"')).status == 412
        assert (await client.put(f"Patient/{name}", patient(name), if_match="*")).status == 412
        assert (await client.get(f"Patient/{name}")).status == 404

    async def test_an_if_match_that_is_no_etag_is_refused(self, client: Client, name: str) -> None:
        await client.stored(patient(name))
        assert (await client.put(f"Patient/{name}", patient(name, active=True), if_match="1")).status == 400

    async def test_if_none_match_creates_but_never_replaces(self, client: Client, name: str) -> None:
        first = await client.put(f"Patient/{name}", patient(name), if_none_match="*")
        again = await client.put(f"Patient/{name}", patient(name, active=True), if_none_match="*")
        assert (first.status, again.status) == (201, 412)
        assert "active" not in (await client.get(f"Patient/{name}")).resource

    async def test_another_if_none_match_is_refused(self, client: Client, name: str) -> None:
        for _ in range(2):
            assert (await client.put(f"Patient/{name}", patient(name), if_none_match='W/"1"')).status == 400
            await client.stored(patient(name))

    async def test_if_none_match_on_a_read(self, client: Client, name: str) -> None:
        """R4 http.html#cread."""
        await client.stored(patient(name))
        assert (await client.get(f"Patient/{name}", if_none_match='W/"1"')).status == 304
        assert (await client.get(f"Patient/{name}", if_none_match='W/"7", W/"1"')).body == b""
        assert (await client.get(f"Patient/{name}", if_none_match='W/"2"')).status == 200

    async def test_if_modified_since_on_a_read(self, client: Client, name: str) -> None:
        stored = await client.stored(patient(name))
        same = await client.get(f"Patient/{name}", if_modified_since=stored.headers["Last-Modified"])
        assert (same.status, same.body) == (304, b"")
        assert (await client.get(f"Patient/{name}", if_modified_since="Sun, 06 Nov 1994 08:49:37 GMT")).status == 200


class TestConditionalUpdate:
    """The table of R4 http.html#cond-update."""

    async def test_no_match_no_id_creates(self, client: Client, name: str) -> None:
        answer = await client.put(f"Patient?identifier={SYSTEM}|{name}", numbered(name))
        assert answer.status == 201
        assert (await client.get(f"Patient/{answer.id}")).resource == answer.resource

    async def test_no_match_with_id_creates_under_it(self, client: Client, name: str) -> None:
        answer = await client.put(f"Patient?identifier={SYSTEM}|{name}", numbered(name, name))
        assert (answer.status, answer.id) == (201, name)

    @pytest.mark.parametrize("with_id", [True, False])
    async def test_one_match_updates_it(self, client: Client, name: str, with_id: bool) -> None:
        await client.stored(numbered(name, name))
        sent = numbered(name, name if with_id else None, active=True)
        answer = await client.put(f"Patient?identifier={SYSTEM}|{name}", sent)
        assert (answer.status, answer.headers["Location"]) == (200, f"{BASE_URL}/Patient/{name}/_history/2")
        assert (await client.get(f"Patient/{name}")).resource["active"] is True

    async def test_one_match_with_another_id_is_refused(self, client: Client, name: str) -> None:
        await client.stored(numbered(name, name))
        answer = await client.put(f"Patient?identifier={SYSTEM}|{name}", numbered(name, f"other-{name}"))
        assert answer.status == 400
        assert (await client.get(f"Patient/other-{name}")).status == 404

    async def test_no_match_with_the_id_of_another_is_refused(self, client: Client, name: str) -> None:
        """It would replace a resource that the criteria do not select."""
        await client.stored(patient(name))
        answer = await client.put(f"Patient?identifier={SYSTEM}|{name}", numbered(name, name))
        assert (answer.status, answer.issue["code"]) == (409, "conflict")
        assert "identifier" not in (await client.get(f"Patient/{name}")).resource

    async def test_several_matches_are_refused(self, client: Client, name: str) -> None:
        for _ in range(2):
            await client.post("Patient", numbered(name))
        answer = await client.put(f"Patient?identifier={SYSTEM}|{name}", numbered(name, active=True))
        assert (answer.status, answer.issue["code"]) == (412, "multiple-matches")
        assert (await client.get(f"Patient?identifier={SYSTEM}|{name}&active=true")).ids == []

    async def test_without_client_ids(self, client: Client, name: str) -> None:
        """No match: created when no id is sent, refused as an update as create when one is."""
        strict = client.with_settings(client_ids=False)
        refused = await strict.put(f"Patient?identifier={SYSTEM}|{name}", numbered(name, name))
        created = await strict.put(f"Patient?identifier={SYSTEM}|{name}", numbered(name))
        assert (refused.status, created.status) == (405, 201)

    @pytest.mark.parametrize("url", ["Patient", "Patient?", "Patient?identifier=", "Patient?nonsense=1"])
    async def test_refuses_criteria_that_do_not_select(self, client: Client, url: str) -> None:
        assert (await client.put(url, patient())).status == 400


class TestPrefer:
    """R4 http.html#ops: the default is ours to choose; it is representation."""

    async def test_minimal(self, client: Client, name: str) -> None:
        created = await client.post("Patient", numbered(name), prefer="return=minimal")
        assert (created.status, created.body) == (201, b"")
        assert created.headers["ETag"] == 'W/"1"'
        updated = await client.put(f"Patient/{created.id}", patient(created.id), prefer="return=minimal")
        assert (updated.status, updated.body) == (200, b"")

    @pytest.mark.parametrize("prefer", ["return=representation", "return=everything", "respond-async"])
    async def test_representation(self, client: Client, prefer: str) -> None:
        answer = await client.post("Patient", patient(), prefer=prefer)
        assert answer.resource["resourceType"] == "Patient"

    async def test_operation_outcome(self, client: Client) -> None:
        answer = await client.post("Patient", patient(), prefer="return=OperationOutcome")
        assert answer.status == 201
        assert answer.issue["severity"] == "information"
        assert (await client.get(f"Patient/{answer.id}")).status == 200


class TestEnforcedReferences:
    """R4 references.html: a server may check that references resolve; the setting says so."""

    async def test_missing_targets_are_refused(self, client: Client, name: str) -> None:
        strict = client.with_settings(enforce_references=True)
        sent = patient(name, managingOrganization={"reference": f"Organization/{name}"})
        for answer in (await strict.post("Patient", sent), await strict.put(f"Patient/{name}", sent)):
            assert answer.status == 422
        assert (await client.put(f"Patient/{name}", sent)).status == 201

    @pytest.mark.parametrize("reference", ["urn:uuid:5f0c1a52-9d6b-4b7a-8a6a-0d8f2f1c3e11", "Patient?identifier=x|1"])
    async def test_what_only_a_transaction_resolves_is_refused(self, client: Client, reference: str) -> None:
        sent = {"resourceType": "Observation", "status": "final", "code": {"text": "Pain"}}
        strict = client.with_settings(enforce_references=True)
        answer = await strict.post("Observation", sent | {"subject": {"reference": reference}})
        assert (answer.status, answer.issue["code"]) == (422, "not-supported")
        assert answer.issue["expression"] == ["Observation.subject.reference"]

    async def test_targets_that_are_there_pass(self, client: Client, name: str) -> None:
        strict = client.with_settings(enforce_references=True)
        await client.stored({"resourceType": "Organization", "id": name, "name": name})
        sent = patient(managingOrganization={"reference": f"Organization/{name}"})
        assert (await strict.post("Patient", sent)).status == 201
        await client.delete(f"Organization/{name}")
        assert (await strict.post("Patient", sent)).status == 422

    async def test_other_servers_and_contained_resources_are_not_asked(self, client: Client) -> None:
        strict = client.with_settings(enforce_references=True)
        sent = patient(
            contained=[{"resourceType": "Organization", "id": "o", "name": "Clinic"}],
            managingOrganization={"reference": "#o"},
            generalPractitioner=[{"reference": "http://other.example/fhir/Practitioner/1"}],
        )
        assert (await strict.post("Patient", sent)).status == 201
