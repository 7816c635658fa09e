"""transaction and batch: R4 http.html#transaction (#trules, #brules), bundle.html#references."""

from __future__ import annotations

import uuid
from itertools import permutations
from typing import Any

import pytest

from fhir_server.interactions.exchange import Server
from fhir_server.operations.served import served_operations
from tests.interactions.conftest import BASE_URL, SYSTEM, Answer, Client, Json, numbered, patient

pytestmark = pytest.mark.asyncio(loop_scope="module")


def entry(method: str, url: str, resource: Json | None = None, full_url: str | None = None, **request: str) -> Json:
    found: Json = {"request": {"method": method, "url": url, **request}}
    if full_url is not None:
        found["fullUrl"] = full_url
    if resource is not None:
        found["resource"] = resource
    return found


def bundle(kind: str, *entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": kind, **({"entry": list(entries)} if entries else {})}


async def transact(client: Client, *entries: Json, **headers: str) -> Answer:
    return await client.post("", bundle("transaction", *entries), **headers)


def statuses(answer: Answer) -> list[str]:
    return [one["response"]["status"][:3] for one in answer.entries]


def written_to(answer: Answer, n: int) -> str:
    """Type/id of entry `n`."""
    location: str = answer.entries[n]["response"]["location"]
    return location.removeprefix(f"{BASE_URL}/").partition("/_history/")[0]


def urn() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


def organization(name: str) -> Json:
    return {"resourceType": "Organization", "id": name, "identifier": [{"system": SYSTEM, "value": name}]}


def observation(subject: str, **elements: Any) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Pain"},
        "subject": {"reference": subject},
        **elements,
    }


ABSENT: Json = {
    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]
}
"""Valid where R4 wants a value."""


class TestAnswer:
    async def test_has_an_entry_for_each_in_the_same_order(self, client: Client, name: str) -> None:
        await client.stored(patient(f"{name}-old"))
        answer = await transact(
            client,
            entry("GET", f"Patient/{name}-old"),
            entry("PUT", f"Patient/{name}", patient(name)),
            entry("POST", "Patient", numbered(name)),
            entry("PUT", f"Patient/{name}-old", patient(f"{name}-old", active=True)),
        )
        assert (answer.status, answer.resource["type"]) == (200, "transaction-response")
        assert statuses(answer) == ["200", "201", "201", "200"]
        assert written_to(answer, 1) == f"Patient/{name}"
        for n in (1, 2, 3):
            told = answer.entries[n]["response"]
            current = await client.get(written_to(answer, n))
            assert told["etag"] == current.headers["ETag"]
            assert told["lastModified"] == current.resource["meta"]["lastUpdated"]
            assert told["location"].endswith(f"/_history/{current.resource['meta']['versionId']}")

    async def test_follows_prefer(self, client: Client, name: str) -> None:
        put = entry("PUT", f"Patient/{name}", patient(name))
        whole = await transact(client, put, prefer="return=representation")
        assert whole.entries[0]["resource"]["id"] == name
        bare = await transact(client, put, prefer="return=minimal")
        assert "resource" not in bare.entries[0]
        outcome = await transact(client, put, prefer="return=OperationOutcome")
        assert outcome.entries[0]["response"]["outcome"]["resourceType"] == "OperationOutcome"

    @pytest.mark.parametrize("kind", ["batch", "transaction"])
    async def test_of_nothing(self, client: Client, kind: str) -> None:
        answer = await client.post("", bundle(kind))
        assert (answer.status, answer.resource["type"], answer.entries) == (200, f"{kind}-response", [])

    @pytest.mark.parametrize("kind", ["collection", "document", "history", "searchset", "batch-response"])
    async def test_other_bundles_are_not_carried_out(self, client: Client, kind: str) -> None:
        assert (await client.post("", bundle(kind))).status == 400
        assert (await client.post("", patient())).status == 400


class TestOrder:
    """R4 http.html#trules: DELETE, POST, PUT and PATCH, GET; the order of the entries does not matter."""

    async def test_reads_see_what_was_written(self, client: Client, name: str) -> None:
        await client.stored(numbered(name, f"{name}-gone"))
        answer = await transact(
            client,
            entry("GET", f"Patient?identifier={SYSTEM}|{name}"),
            entry("GET", f"Patient/{name}"),
            entry("PUT", f"Patient/{name}", numbered(name, name)),
            entry("DELETE", f"Patient/{name}-gone"),
        )
        assert statuses(answer) == ["200", "200", "201", "204"]
        found = answer.entries[0]["resource"]
        assert [one["resource"]["id"] for one in found["entry"]] == [name]
        assert answer.entries[1]["resource"]["id"] == name

    async def test_deletes_come_before_conditional_creates(self, client: Client, name: str) -> None:
        await client.stored(numbered(name, f"{name}-old"))
        answer = await transact(
            client,
            entry("POST", "Patient", numbered(name), ifNoneExist=f"identifier={SYSTEM}|{name}"),
            entry("DELETE", f"Patient/{name}-old"),
        )
        assert statuses(answer) == ["201", "204"]

    async def test_history_and_search_by_post_inside(self, client: Client, name: str) -> None:
        answer = await transact(
            client,
            entry("PUT", f"Patient/{name}", numbered(name, name)),
            entry("GET", f"Patient/{name}/_history"),
            entry("GET", f"Patient/{name}/_history/1"),
            entry("POST", f"Patient/_search?identifier={SYSTEM}|{name}"),
        )
        assert statuses(answer) == ["201", "200", "200", "200"]
        assert answer.entries[1]["resource"]["type"] == "history"
        assert answer.entries[2]["resource"]["id"] == name
        assert answer.entries[3]["resource"]["entry"][0]["resource"]["id"] == name

    async def test_the_capabilities_are_the_same_inside(self, client: Client) -> None:
        server = client.server
        operations = served_operations(server.settings.canonical_base)
        full = Client(Server(server.store, server.settings, operations))
        answer = await transact(full, entry("GET", "metadata"))
        assert answer.resources == [(await full.get("metadata")).resource]
        assert "operation" in answer.resources[0]["rest"][0]

    async def test_a_failing_read_undoes_the_writes(self, client: Client, name: str) -> None:
        answer = await transact(
            client, entry("PUT", f"Patient/{name}", patient(name)), entry("GET", f"Patient/{name}-nobody")
        )
        assert (answer.status, answer.issue["expression"]) == (404, ["Bundle.entry[1]"])
        assert (await client.get(f"Patient/{name}")).status == 404


class TestReferences:
    @pytest.mark.parametrize(
        "stand_in",
        ["urn:uuid:5f0c1a52-9d6b-4b7a-8a6a-0d8f2f1c3e11", "urn:oid:1.2.36.1.2001", f"{BASE_URL}/Patient/temporary"],
    )
    async def test_a_full_url_becomes_the_new_reference(self, client: Client, stand_in: str) -> None:
        answer = await transact(
            client,
            entry("POST", "Observation", observation(stand_in)),
            entry("POST", "Patient", patient(), full_url=stand_in),
        )
        stored = (await client.get(written_to(answer, 0))).resource
        assert stored["subject"] == {"reference": written_to(answer, 1)}
        assert (await client.get(f"Observation?subject={written_to(answer, 1)}")).ids == [stored["id"]]

    async def test_relative_references_are_resolved_against_the_full_url(self, client: Client, name: str) -> None:
        """R4 bundle.html#references: by Type/id, an entry with a urn: or no fullUrl means no entry of the Bundle."""
        one, two, here = "http://one.example/fhir", "http://two.example/fhir", f"Patient/{name}"
        answer = await transact(
            client,
            entry("POST", "Patient", patient(), full_url=f"{one}/{here}"),
            entry("POST", "Patient", patient(), full_url=f"{two}/{here}"),
            entry("POST", "Observation", observation(here), full_url=f"{one}/Observation/1"),
            entry("POST", "Observation", observation(here), full_url=f"{two}/Observation/1"),
            entry("POST", "Observation", observation(f"{two}/{here}#part"), full_url=f"{one}/Observation/2"),
            entry("POST", "Observation", observation(here), full_url=urn()),
            entry("POST", "Observation", observation(here)),
        )
        found = [(await client.get(written_to(answer, n))).resource["subject"]["reference"] for n in range(2, 7)]
        first, second = written_to(answer, 0), written_to(answer, 1)
        assert found == [first, second, f"{second}#part", here, here]

    async def test_circles_are_possible(self, client: Client) -> None:
        one, two = urn(), urn()
        answer = await transact(
            client,
            entry("POST", "Patient", patient(link=[{"other": {"reference": two}, "type": "seealso"}]), full_url=one),
            entry("POST", "Patient", patient(link=[{"other": {"reference": one}, "type": "seealso"}]), full_url=two),
        )
        for here, there in ((0, 1), (1, 0)):
            stored = (await client.get(written_to(answer, here))).resource
            assert stored["link"][0]["other"]["reference"] == written_to(answer, there)

    async def test_links_in_the_narrative_follow(self, client: Client) -> None:
        one, image = urn(), urn()
        div = (
            f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{one}">her</a> <img src=\'{image}\' alt="{one}"/>'
            f" {one}</div>"
        )
        basic = {"resourceType": "Basic", "text": {"status": "generated", "div": div}, "code": {"text": "note"}}
        answer = await transact(
            client,
            entry("POST", "Patient", patient(), full_url=one),
            entry("POST", "Binary", {"resourceType": "Binary", "contentType": "image/png"}, full_url=image),
            entry("POST", "Basic", basic),
        )
        stored = (await client.get(written_to(answer, 2))).resource["text"]["div"]
        her, picture = written_to(answer, 0), written_to(answer, 1)
        assert stored == (
            f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{her}">her</a> <img src=\'{picture}\' alt="{one}"/>'
            f" {one}</div>"
        )

    @pytest.mark.parametrize("known", [False, True], ids=["created", "found"])
    async def test_uris_follow_but_no_text_and_no_canonical(self, client: Client, name: str, known: bool) -> None:
        """R4 http.html#trules: elements of type uri, url, oid and uuid; not canonical."""
        if known:
            await client.stored(numbered(name, name))
        one = urn()
        sent = {
            "resourceType": "Basic",
            "contained": [
                {"resourceType": "Group", "id": "g", "type": "person", "actual": True,
                 "member": [{"entity": {"reference": one}}]}
            ],
            "extension": [
                {"url": "urn:x:uri", "valueUri": one},
                {"url": "urn:x:url", "valueUrl": one},
                {"url": "urn:x:canonical", "valueCanonical": one},
                {"url": "urn:x:string", "valueString": one},
                {"url": "urn:x:nested", "extension": [{"url": "a", "valueUri": one}]},
            ],
            "identifier": [{"system": "urn:ietf:rfc:3986", "value": one,
                            "_value": {"extension": [{"url": "urn:x:uri", "valueUri": one}]}}],
            "code": {"text": one},
            "subject": {"reference": "#g", "display": one},
        }  # fmt: skip
        answer = await transact(
            client,
            entry("POST", "Patient", numbered(name), one, ifNoneExist=f"identifier={SYSTEM}|{name}"),
            entry("POST", "Basic", sent),
        )
        assert statuses(answer) == ["200" if known else "201", "201"]
        there = written_to(answer, 0)
        stored = (await client.get(written_to(answer, 1))).resource
        assert [extension.get("valueUri") for extension in stored["extension"]] == [there, None, None, None, None]
        assert stored["extension"][1]["valueUrl"] == there
        assert stored["extension"][2]["valueCanonical"] == one
        assert stored["extension"][3]["valueString"] == one
        assert stored["extension"][4]["extension"][0]["valueUri"] == there
        assert stored["identifier"][0]["value"] == one
        assert stored["identifier"][0]["_value"]["extension"][0]["valueUri"] == there
        assert stored["code"]["text"] == stored["subject"]["display"] == one
        assert stored["contained"][0]["member"][0]["entity"]["reference"] == there

    async def test_a_reference_follows_a_conditional_create_to_its_match(self, client: Client, name: str) -> None:
        await client.stored(numbered(name, name))
        stand_in = urn()
        answer = await transact(
            client,
            entry("POST", "Patient", numbered(name), stand_in, ifNoneExist=f"identifier={SYSTEM}|{name}"),
            entry("POST", "Observation", observation(stand_in)),
        )
        assert statuses(answer) == ["200", "201"]
        assert written_to(answer, 0) == f"Patient/{name}"
        assert (await client.get(written_to(answer, 1))).resource["subject"]["reference"] == f"Patient/{name}"

    async def test_a_reference_follows_a_conditional_update(self, client: Client, name: str) -> None:
        await client.stored(numbered(name, name))
        old, new = urn(), urn()
        answer = await transact(
            client,
            entry("PUT", f"Patient?identifier={SYSTEM}|{name}", numbered(name, active=True), old),
            entry("PUT", f"Patient?identifier={SYSTEM}|{name}-2", numbered(f"{name}-2"), new),
            entry("POST", "Observation", observation(old, focus=[{"reference": new}])),
        )
        assert statuses(answer) == ["200", "201", "201"]
        stored = (await client.get(written_to(answer, 2))).resource
        assert stored["subject"]["reference"] == written_to(answer, 0) == f"Patient/{name}"
        assert stored["focus"][0]["reference"] == written_to(answer, 1)

    async def test_a_urn_of_no_entry_is_refused(self, client: Client, name: str) -> None:
        answer = await transact(
            client, entry("PUT", f"Patient/{name}", patient(name)), entry("POST", "Observation", observation(urn()))
        )
        assert answer.status == 400
        assert answer.issue["expression"][0].startswith("Bundle.entry[1]")
        assert (await client.get(f"Patient/{name}")).status == 404

    async def test_enforced_references_may_point_at_other_entries(self, client: Client, name: str) -> None:
        strict = client.with_settings(enforce_references=True)
        observed = entry("PUT", f"Observation/{name}", observation(f"Patient/{name}", id=name))
        assert (await transact(strict, observed)).status == 422
        answer = await transact(strict, observed, entry("PUT", f"Patient/{name}", patient(name)))
        assert statuses(answer) == ["201", "201"]


class TestConditionalReferences:
    """R4 http.html#trules: `Type?criteria` must select one resource, else the transaction fails (412)."""

    async def test_becomes_the_one_match(self, client: Client, name: str) -> None:
        await client.stored(numbered(name, name))
        answer = await transact(
            client, entry("POST", "Observation", observation(f"Patient?identifier={SYSTEM}|{name}"))
        )
        stored = (await client.get(written_to(answer, 0))).resource
        assert stored["subject"]["reference"] == f"Patient/{name}"
        assert (await client.get(f"Observation?patient={name}")).ids == [stored["id"]]

    async def test_may_match_what_the_transaction_writes(self, client: Client, name: str) -> None:
        answer = await transact(
            client,
            entry("POST", "Observation", observation(f"Patient?identifier={SYSTEM}|{name}")),
            entry("PUT", f"Patient/{name}", numbered(name, name)),
        )
        assert (await client.get(written_to(answer, 0))).resource["subject"]["reference"] == f"Patient/{name}"

    @pytest.mark.parametrize(("matches", "code"), [(0, "not-found"), (2, "multiple-matches")])
    async def test_of_none_or_several_fails(self, client: Client, name: str, matches: int, code: str) -> None:
        for _ in range(matches):
            await client.post("Patient", numbered(name))
        answer = await transact(
            client,
            entry("PUT", f"Patient/{name}", patient(name)),
            entry("POST", "Observation", observation(f"Patient?identifier={SYSTEM}|{name}")),
        )
        assert (answer.status, answer.issue["code"]) == (412, code)
        assert answer.issue["expression"] == ["Bundle.entry[1].resource.subject.reference"]
        assert (await client.get(f"Patient/{name}")).status == 404

    @pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
    async def test_the_order_of_entries_does_not_matter(
        self, client: Client, name: str, order: tuple[int, ...]
    ) -> None:
        """R4 http.html#trules: "the outcome of the processing the transaction SHALL NOT depend on the order"."""

        def managed(n: int, **elements: Any) -> Json:
            return entry("PUT", f"Organization/{name}-{n}", organization(f"{name}-{n}") | elements)

        def part_of(n: int) -> Json:
            return {"partOf": {"reference": f"Organization?identifier={SYSTEM}|{name}-{n}"}}

        chain = [managed(0, **part_of(1)), managed(1, **part_of(2)), managed(2)]
        answer = await transact(client, *(chain[n] for n in order))
        assert statuses(answer) == ["201", "201", "201"]
        for n in (0, 1):
            stored = (await client.get(f"Organization/{name}-{n}")).resource
            assert stored["partOf"]["reference"] == f"Organization/{name}-{n + 1}"

    @pytest.mark.parametrize("order", list(permutations(range(2))), ids=str)
    async def test_a_second_match_written_later_counts_too(
        self, client: Client, name: str, order: tuple[int, ...]
    ) -> None:
        await client.stored(numbered(name, name))
        reference = {"reference": f"Patient?identifier={SYSTEM}|{name}"}
        entries = [
            entry("POST", "Observation", observation(reference["reference"])),
            entry("POST", "Patient", numbered(name) | {"link": [{"other": reference, "type": "seealso"}]}),
        ]
        answer = await transact(client, *(entries[n] for n in order))
        assert (answer.status, answer.issue["code"]) == (412, "multiple-matches")
        (place,) = answer.issue["expression"]
        assert place.removesuffix(".reference").endswith((".resource.subject", ".resource.link[0].other"))

    async def test_of_a_conditional_create_that_matches_are_not_followed(self, client: Client, name: str) -> None:
        await client.stored(organization(name))
        nobody = {"partOf": {"reference": f"Organization?identifier={SYSTEM}|{name}-nobody"}}
        again = organization(name) | nobody
        answer = await transact(client, entry("POST", "Organization", again, ifNoneExist=f"identifier={SYSTEM}|{name}"))
        assert statuses(answer) == ["200"]
        assert "partOf" not in (await client.get(f"Organization/{name}")).resource

    async def test_criteria_that_do_not_select_are_refused(self, client: Client) -> None:
        for criteria in ("identifier=", "nonsense=1", "", "name=%ff", "name=%00"):
            answer = await transact(client, entry("POST", "Observation", observation(f"Patient?{criteria}")))
            assert answer.status == 400


class TestIdentities:
    """R4 http.html#trules: no identity is written twice; bundle.html bdl-7: no fullUrl is there twice."""

    @pytest.mark.parametrize(
        "second",
        [("PUT", "Patient/{name}"), ("DELETE", "Patient/{name}"), ("PUT", "Patient?identifier=" + SYSTEM + "|{name}")],
    )
    async def test_the_same_target_twice_is_refused(self, client: Client, name: str, second: tuple[str, str]) -> None:
        await client.stored(numbered(name, name))
        method, url = second[0], second[1].format(name=name)
        again = entry(method, url, None if method == "DELETE" else numbered(name, name, active=False))
        answer = await transact(client, entry("PUT", f"Patient/{name}", numbered(name, name, active=True)), again)
        assert answer.status == 400
        assert answer.issue["expression"][0].startswith("Bundle.entry[1]")
        assert (await client.get(f"Patient/{name}")).headers["ETag"] == 'W/"1"'

    async def test_criteria_in_the_url_of_a_create_are_a_condition(self, client: Client, name: str) -> None:
        """As in a create by itself (docs/spec-clarifications/interactions.md)."""
        create = entry("POST", f"Patient?identifier={SYSTEM}|{name}", numbered(name))
        assert [statuses(await transact(client, create)) for _ in range(2)] == [["201"], ["200"]]

    async def test_the_same_criteria_twice_are_refused(self, client: Client, name: str) -> None:
        """Each would create one when nothing matches."""
        create = entry("POST", "Patient", numbered(name), ifNoneExist=f"identifier={SYSTEM}|{name}")
        update = entry("PUT", f"Patient?identifier={SYSTEM}|{name}", numbered(name))
        for pair in ((create, create), (update, update), (create, update)):
            assert (await transact(client, *pair)).status == 400
        assert (await client.get(f"Patient?identifier={SYSTEM}|{name}")).ids == []

    async def test_deleting_by_criteria_what_is_updated_is_refused(self, client: Client, name: str) -> None:
        await client.stored(numbered(name, name))
        answer = await transact(
            client,
            entry("DELETE", f"Patient?identifier={SYSTEM}|{name}"),
            entry("PUT", f"Patient/{name}", patient(name)),
        )
        assert answer.status == 400
        assert (await client.get(f"Patient/{name}")).status == 200

    async def test_a_full_url_twice_is_refused(self, client: Client, name: str) -> None:
        stand_in = urn()
        answer = await transact(
            client,
            entry("POST", "Patient", numbered(name), full_url=stand_in),
            entry("POST", "Patient", numbered(name), full_url=stand_in),
        )
        assert answer.status == 400
        assert (await client.get(f"Patient?identifier={SYSTEM}|{name}")).ids == []

    @pytest.mark.parametrize(
        "full_url", ["http://other.example/fhir/Patient/1", BASE_URL + "/Patient/{name}/_history/1"]
    )
    async def test_a_full_url_that_contradicts_is_refused(self, client: Client, name: str, full_url: str) -> None:
        """R4 bundle.html: fullUrl shall not disagree with the resource's id; bdl-8: it names no version."""
        for sent in (entry("PUT", f"Patient/{name}", patient(name)), entry("POST", "Patient", patient(name))):
            answer = await transact(client, {**sent, "fullUrl": full_url.format(name=name)})
            assert (answer.status, answer.issue["expression"]) == (400, ["Bundle.entry[0].fullUrl"])

    async def test_a_post_may_bring_an_id_that_is_passed_over(self, client: Client, name: str) -> None:
        answer = await transact(client, entry("POST", "Patient", patient(name), full_url=urn()))
        assert statuses(answer) == ["201"]
        assert written_to(answer, 0) != f"Patient/{name}"

    @pytest.mark.parametrize("sent", [patient(), patient("another"), {"resourceType": "Group", "id": "x"}])
    async def test_a_put_needs_the_id_and_type_of_its_url(self, client: Client, name: str, sent: Json) -> None:
        answer = await transact(client, entry("PUT", f"Patient/{name}", sent))
        assert answer.status == 400
        assert answer.issue["expression"][0].startswith("Bundle.entry[0]")


class TestConditions:
    async def test_if_none_exist(self, client: Client, name: str) -> None:
        create = entry("POST", "Patient", numbered(name), ifNoneExist=f"identifier={SYSTEM}|{name}")
        assert statuses(await transact(client, create)) == ["201"]
        assert statuses(await transact(client, create)) == ["200"]
        await client.post("Patient", numbered(name))
        refused = await transact(client, entry("PUT", f"Patient/{name}", patient(name)), create)
        assert (refused.status, refused.issue["expression"]) == (412, ["Bundle.entry[1]"])
        assert (await client.get(f"Patient/{name}")).status == 404

    async def test_if_match(self, client: Client, name: str) -> None:
        await client.stored(patient(name))
        update = entry("PUT", f"Patient/{name}", patient(name, active=True), ifMatch='W/"1"')
        assert statuses(await transact(client, update)) == ["200"]
        again = entry("PUT", f"Patient/{name}", patient(name, active=False), ifMatch='W/"1"')
        refused = await transact(client, again)
        assert (refused.status, refused.issue["expression"]) == (412, ["Bundle.entry[0]"])
        assert (await transact(client, entry("DELETE", f"Patient/{name}", ifMatch='W/"1"'))).status == 412
        assert statuses(await transact(client, entry("DELETE", f"Patient/{name}", ifMatch='W/"2"'))) == ["204"]

    async def test_if_none_match_on_a_read(self, client: Client, name: str) -> None:
        await client.stored(patient(name))
        answer = await transact(client, entry("GET", f"Patient/{name}", ifNoneMatch='W/"1"'))
        assert statuses(answer) == ["304"]
        assert "resource" not in answer.entries[0]

    async def test_conditional_delete(self, client: Client, name: str) -> None:
        await client.stored(numbered(name, name))
        remove = entry("DELETE", f"Patient?identifier={SYSTEM}|{name}")
        assert statuses(await transact(client, remove)) == ["204"]
        assert (await client.get(f"Patient/{name}")).status == 410
        assert statuses(await transact(client, remove)) == ["204"]

    async def test_conditional_update_without_client_ids(self, client: Client, name: str) -> None:
        """R4 http.html#cond-update: no match, no id: created, whatever the server says of clients' ids."""
        strict = client.with_settings(client_ids=False)
        url = f"Patient?identifier={SYSTEM}|{name}"
        assert (await transact(strict, entry("PUT", url, numbered(name, name)))).status == 405
        assert statuses(await transact(strict, entry("PUT", url, numbered(name)))) == ["201"]


class TestAllOrNothing:
    @pytest.mark.parametrize(
        ("bad", "status", "expression"),
        [
            (entry("POST", "Patient", patient(gender="x")), 400, "Bundle.entry[1].resource.gender"),
            (entry("POST", "Patient", {"resourceType": "Group"}), 400, "Bundle.entry[1]"),
            (entry("POST", "Patient"), 400, "Bundle.entry[1].resource"),
            (entry("POST", "Patient/1", patient()), 400, "Bundle.entry[1]"),
            (entry("POST", "Patient/1/2/3", patient()), 400, "Bundle.entry[1].request.url"),
            (entry("POST", "/", patient()), 404, "Bundle.entry[1].request.url"),
            (entry("PUT", "Patient/a_b", patient("a_b")), 400, "Bundle.entry[1]"),
            (entry("PUT", "Patient", patient()), 400, "Bundle.entry[1]"),
            (entry("DELETE", "Patient?nonsense=1"), 400, "Bundle.entry[1].request.url"),
            (entry("POST", "Patient?nonsense=1", patient()), 400, "Bundle.entry[1].request.url"),
            (entry("GET", "Patient?name=%00"), 400, "Bundle.entry[1].request.url"),
            (entry("DELETE", "Patient?name=%ff"), 400, "Bundle.entry[1].request.url"),
            (entry("POST", "Patient", patient(), ifNoneExist="name="), 400, "Bundle.entry[1].request.ifNoneExist"),
            (
                entry("POST", "Observation", observation("urn:uuid:5f0c1a52-9d6b-4b7a-8a6a-0d8f2f1c3e11")),
                400,
                "Bundle.entry[1].resource.subject.reference",
            ),
            (entry("GET", "Pet/1"), 404, "Bundle.entry[1]"),
            (entry("GET", "http://other.example/fhir/Patient/1"), 404, "Bundle.entry[1]"),
            (entry("POST", "Pet", {"resourceType": "Pet"}), 400, "Bundle.entry[1]"),
            (entry("JUMP", "Patient/1"), 400, "Bundle.entry[1].request.method"),
            (entry("POST", "Patient/$validate", patient()), 405, "Bundle.entry[1].request.url"),
            ({"resource": patient()}, 400, "Bundle.entry[1].request"),
            ({"request": {"method": "GET"}}, 400, "Bundle.entry[1].request"),
            ({"request": {"method": "GET", "_url": ABSENT}}, 400, "Bundle.entry[1].request"),
            ({"request": {"_method": ABSENT, "url": "Patient"}}, 400, "Bundle.entry[1].request"),
            (entry("POST", "", bundle("batch")), 400, "Bundle.entry[1]"),
        ],
        ids=lambda value: value["request"].get("url", "?") if isinstance(value, dict) and "request" in value else None,
    )
    async def test_one_bad_entry_changes_nothing_and_is_named(
        self, client: Client, name: str, bad: Json, status: int, expression: str
    ) -> None:
        good = entry("PUT", f"Patient/{name}", patient(name))
        last = entry("PUT", f"Patient/{name}-2", patient(f"{name}-2"))
        answer = await transact(client, good, bad, last)
        assert answer.status == status, answer.body
        assert answer.issue["expression"][0].startswith(expression)
        for place in (f"Patient/{name}", f"Patient/{name}-2"):
            assert (await client.get(place)).status == 404

    async def test_too_many_entries_are_refused(self, client: Client, name: str) -> None:
        small = client.with_settings(max_bundle_entries=2)
        puts = [entry("PUT", f"Patient/{name}-{n}", patient(f"{name}-{n}")) for n in range(3)]
        assert (await transact(small, *puts)).status == 413
        assert statuses(await transact(small, *puts[:2])) == ["201", "201"]

    async def test_large_ones_keep_their_order(self, client: Client, name: str) -> None:
        stand_ins = [urn() for _ in range(150)]
        sent = [
            entry("POST", "Patient", numbered(f"{name}-{n}", link=[link]), full_url=stand_in)
            for n, stand_in in enumerate(stand_ins)
            for link in [{"other": {"reference": stand_ins[n - 1]}, "type": "seealso"}]
        ]
        answer = await transact(client, *sent)
        assert statuses(answer) == ["201"] * 150
        for n in (0, 75, 149):
            stored = (await client.get(written_to(answer, n))).resource
            assert stored["identifier"][0]["value"] == f"{name}-{n}"
            assert stored["link"][0]["other"]["reference"] == written_to(answer, n - 1)


class TestBatch:
    """R4 http.html#brules: each entry stands or falls alone."""

    async def test_a_bad_entry_fails_alone(self, client: Client, name: str) -> None:
        answer = await client.post(
            "",
            bundle(
                "batch",
                entry("PUT", f"Patient/{name}", patient(name)),
                entry("POST", "Patient", patient(gender="x")),
                entry("GET", f"Patient/{name}-nobody"),
                entry("POST", "Patient", {"resourceType": "Group"}),
                entry("GET", "Pet/1"),
                entry("DELETE", "Patient?nonsense=1"),
                entry("POST", "/", bundle("batch")),
                {"resource": patient()},
                {"request": {"method": "GET", "_url": ABSENT}},
                entry("PUT", f"Patient/{name}-2", patient(f"{name}-2")),
            ),
        )
        assert (answer.status, answer.resource["type"]) == (200, "batch-response")
        assert statuses(answer) == ["201", "400", "404", "400", "404", "400", "405", "400", "400", "201"]
        for n in range(1, 9):
            outcome = answer.entries[n]["response"]["outcome"]
            assert outcome["resourceType"] == "OperationOutcome"
            assert outcome["issue"][0]["severity"] == "error"
        for place in (f"Patient/{name}", f"Patient/{name}-2"):
            assert (await client.get(place)).status == 200

    @pytest.mark.parametrize("resource", ["x", [], 5, True], ids=repr)
    async def test_a_resource_that_is_no_object_fails_alone(self, client: Client, name: str, resource: Any) -> None:
        sent = bundle("batch", entry("POST", "Patient", resource), entry("PUT", f"Patient/{name}", patient(name)))
        answer = await client.post("", sent)
        assert statuses(answer) == ["400", "201"]
        assert answer.entries[0]["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[0].resource"]

    async def test_conditional_reads_and_heads(self, client: Client, name: str) -> None:
        """R4 bundle.html: ifModifiedSince is an instant; RFC 9110 9.3.2: HEAD has no content."""
        await client.stored(patient(name))
        updated = (await client.get(f"Patient/{name}")).resource["meta"]["lastUpdated"]
        answer = await client.post(
            "",
            bundle(
                "batch",
                entry("GET", f"Patient/{name}", ifModifiedSince=updated),
                entry("GET", f"Patient/{name}", ifModifiedSince="2001-01-01T00:00:00Z"),
                entry("GET", f"Patient/{name}", ifNoneMatch='W/"1"'),
                entry("HEAD", f"Patient/{name}"),
            ),
        )
        assert statuses(answer) == ["304", "200", "304", "200"]
        assert ["resource" in one for one in answer.entries] == [False, True, False, False]
        assert {one["response"]["etag"] for one in answer.entries} == {'W/"1"'}

    async def test_reads_searches_and_history(self, client: Client, name: str) -> None:
        await client.stored(numbered(name, name))
        answer = await client.post(
            "",
            bundle(
                "batch",
                entry("GET", f"Patient/{name}"),
                entry("GET", f"/Patient?identifier={SYSTEM}|{name}"),
                entry("GET", f"{BASE_URL}/Patient/{name}/_history"),
                entry("HEAD", f"Patient/{name}"),
                entry("GET", f"Patient/{name}", ifNoneMatch='W/"1"'),
                entry("GET", "metadata"),
            ),
        )
        assert statuses(answer) == ["200", "200", "200", "200", "304", "200"]
        assert answer.entries[0]["resource"] == (await client.get(f"Patient/{name}")).resource
        assert answer.entries[1]["resource"]["entry"][0]["resource"]["id"] == name
        assert answer.entries[2]["resource"]["total"] == 1
        assert answer.entries[5]["resource"]["resourceType"] == "CapabilityStatement"

    async def test_conditions_hold_entry_by_entry(self, client: Client, name: str) -> None:
        await client.stored(numbered(name, name))
        answer = await client.post(
            "",
            bundle(
                "batch",
                entry("POST", "Patient", numbered(name), ifNoneExist=f"identifier={SYSTEM}|{name}"),
                entry("PUT", f"Patient/{name}", numbered(name, name, active=True), ifMatch='W/"7"'),
            ),
        )
        assert statuses(answer) == ["200", "412"]

    async def test_is_refused_whole_when_it_is_no_bundle(self, client: Client, name: str) -> None:
        good = entry("PUT", f"Patient/{name}", patient(name))
        for bad in (bundle("batch", good, entry("GET", "")), {**bundle("batch", good), "entries": []}):
            assert (await client.post("", bad)).status == 400
        assert (await client.get(f"Patient/{name}")).status == 404
