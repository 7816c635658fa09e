"""search of a type: R4 http.html#search, search.html; values by type are those of tests/cases/search."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import chain
from pathlib import Path

import pytest

from fhir_server.model.json import encode
from tests.interactions.conftest import BASE_URL, SYSTEM, Answer, Client, Json, numbered, patient

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = sorted((Path(__file__).parents[1] / "cases" / "search").glob("*.json"))


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
async def test_finds_what_the_specification_says(client: Client, file: Path) -> None:
    """Each case in a store: the resource is among the matches or not."""
    text = file.read_text().replace("https://here.example.org/fhir", BASE_URL)
    wrong = []
    for group in json.loads(text, parse_float=Decimal)["groups"]:
        resource = group["resource"]
        logical_id = resource.setdefault("id", "unnamed")
        stored = await client.put(f"{resource['resourceType']}/{logical_id}", encode(resource))
        assert stored.status in (200, 201), stored.body
        for case in group["cases"]:
            pairs = [(name, value) for name, _, value in (part.partition("=") for part in case["search"].split("&"))]
            answer = await client.send("GET", resource["resourceType"], query=[*pairs, ("_count", "1000")])
            if (logical_id in answer.ids) is not case["match"]:
                wrong.append(case)
        await client.delete(f"{resource['resourceType']}/{logical_id}")
    assert wrong == []


async def family(client: Client, name: str, count: int) -> list[str]:
    """Patients of the family `name` in the order of their birth; their ids."""
    ids = [f"{name}-{n}" for n in range(count)]
    for n, one in enumerate(ids):
        await client.stored(patient(one, name=[{"family": name}], birthDate=f"2000-01-{n + 1:02}"))
    return ids


async def follow(client: Client, answer: Answer) -> list[list[str]]:
    """The ids of the pages behind `answer`."""
    found = []
    while (following := answer.link("next")) is not None:
        answer = await client.get(following)
        assert answer.status == 200, answer.body
        found.append(answer.ids)
    return found


class TestAnswer:
    async def test_is_a_searchset(self, client: Client, name: str) -> None:
        stored = await client.stored(numbered(name, name))
        answer = await client.get(f"Patient?identifier={SYSTEM}|{name}")
        assert (answer.status, answer.resource["type"]) == (200, "searchset")
        (entry,) = answer.entries
        assert entry["fullUrl"] == f"{BASE_URL}/Patient/{name}"
        assert entry["search"] == {"mode": "match"}
        assert entry["resource"] == stored.resource
        assert answer.link("self") == f"Patient?identifier={SYSTEM}|{name}"
        assert answer.link("next") is None

    async def test_of_nothing_has_no_entries(self, client: Client, name: str) -> None:
        """R4 json.html: no empty arrays."""
        answer = await client.get(f"Patient?family={name}")
        assert answer.status == 200
        assert "entry" not in answer.resource

    async def test_post_takes_the_same_parameters(self, client: Client, name: str) -> None:
        ids = await family(client, name, 2)
        answer = await client.send("POST", f"Patient/_search?family={name}", query=[("_sort", "birthdate")])
        assert answer.ids == ids
        assert answer.link("self") == f"Patient?family={name}&_sort=birthdate"
        assert (await client.get("Patient/_search")).status == 405

    async def test_total(self, client: Client, name: str) -> None:
        await family(client, name, 3)
        counted = await client.get(f"Patient?family={name}&_total=accurate&_count=2")
        assert (counted.resource["total"], len(counted.ids)) == (3, 2)
        for query in ("_count=0", "_summary=count"):
            bare = await client.get(f"Patient?family={name}&{query}")
            assert (bare.resource["total"], bare.entries, bare.link("next")) == (3, [], None)

    async def test_sort(self, client: Client, name: str) -> None:
        """R4 search.html#sort: ascending, - for descending."""
        ids = await family(client, name, 3)
        assert (await client.get(f"Patient?family={name}&_sort=birthdate")).ids == ids
        assert (await client.get(f"Patient?family={name}&_sort=-birthdate")).ids == ids[::-1]

    async def test_parameters_are_and_values_or(self, client: Client, name: str) -> None:
        """R4 search.html#combining."""
        ids = await family(client, name, 3)
        both = await client.get(f"Patient?family={name}&birthdate=2000-01-01,2000-01-03&_sort=birthdate")
        assert both.ids == [ids[0], ids[2]]
        assert (await client.get(f"Patient?family={name}&birthdate=2000-01-01&birthdate=2000-01-02")).ids == []

    async def test_sees_writes_and_deletions_at_once(self, client: Client, name: str) -> None:
        await client.stored(numbered(name, name))
        await client.stored(numbered(f"{name}-2", name))
        assert (await client.get(f"Patient?identifier={SYSTEM}|{name}")).ids == []
        assert (await client.get(f"Patient?identifier={SYSTEM}|{name}-2")).ids == [name]
        await client.delete(f"Patient/{name}")
        assert (await client.get(f"Patient?identifier={SYSTEM}|{name}-2")).ids == []


async def test_what_was_written_at_once_is_sorted_by_the_next_key(client: Client, name: str) -> None:
    """R4 search.html#sort: the rules hold in priority order; equal times leave the order to the rule after them."""
    people = [patient(f"{name}-{n}", name=[{"family": name, "given": [given]}]) for n, given in enumerate("bca")]
    entries = [{"request": {"method": "PUT", "url": f"Patient/{one['id']}"}, "resource": one} for one in people]
    written = await client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert written.status == 200
    for sort, order in (("_lastUpdated,given", "201"), ("-_lastUpdated,-given", "102")):
        assert (await client.get(f"Patient?family={name}&_sort={sort}")).ids == [f"{name}-{n}" for n in order]


class TestPages:
    async def test_hold_every_match_once(self, client: Client, name: str) -> None:
        ids = await family(client, name, 5)
        first = await client.get(f"Patient?family={name}&_sort=birthdate&_count=2")
        assert [first.ids, *await follow(client, first)] == [ids[:2], ids[2:4], ids[4:]]

    async def test_without_a_sort_too(self, client: Client, name: str) -> None:
        ids = await family(client, name, 5)
        first = await client.get(f"Patient?family={name}&_count=2")
        found = [first.ids, *await follow(client, first)]
        assert list(map(len, found)) == [2, 2, 1]
        assert sorted(chain(*found)) == ids

    async def test_of_equal_sort_values(self, client: Client, name: str) -> None:
        for n in range(5):
            await client.stored(patient(f"{name}-{n}", name=[{"family": name}], birthDate="1999"))
        first = await client.get(f"Patient?family={name}&_sort=-birthdate&_count=1")
        found = [first.ids, *await follow(client, first)]
        assert sorted(chain(*found)) == [f"{name}-{n}" for n in range(5)]

    @pytest.mark.parametrize("sort", ["&_sort=birthdate", "&_sort=-birthdate", "&_sort=_id", ""])
    async def test_show_the_moment_of_the_first(self, client: Client, name: str, sort: str) -> None:
        """What is written while a client pages neither moves nor hides, adds or changes a match."""
        ids = await family(client, name, 5)
        before = (await client.get(f"Patient?family={name}{sort}")).resources
        first = await client.get(f"Patient?family={name}&_count=2{sort}")
        rest = [resource["id"] for resource in before[2:]]
        await client.delete(f"Patient/{rest[0]}")
        await client.stored(patient(rest[1], name=[{"family": "changed"}]))
        await client.stored(patient(rest[2], name=[{"family": name}], birthDate="1900-01-01"))
        await client.stored(patient(f"{name}-a", name=[{"family": name}], birthDate="2000-01-02"))
        await client.delete(f"Patient/{ids[0]}")
        seen = list(first.resources)
        answer = first
        while (following := answer.link("next")) is not None:
            answer = await client.get(following)
            seen += answer.resources
        assert seen == before
        now = await client.get(f"Patient?family={name}&_sort=_id")
        assert f"{name}-a" in now.ids
        assert rest[0] not in now.ids

    async def test_name_themselves_in_their_self_link(self, client: Client, name: str) -> None:
        """R4 bundle.html: `self` (as of RFC 4287) leads to the page it stands in, which need not be the first."""
        await family(client, name, 3)
        for first in (f"Patient?family={name}&_count=2", f"Patient?family={name}&_sort=-birthdate&_count=1"):
            page = await client.get(first)
            assert page.link("self") == first
            page = await client.get(page.link("next") or "")
            again = await client.get(page.link("self") or "")
            assert again.ids == page.ids != []
            assert again.link("self") == page.link("self")

    async def test_of_a_history_name_themselves_too(self, client: Client, name: str) -> None:
        for year in range(1990, 1993):
            await client.stored(patient(name, birthDate=str(year)))
        page = await client.get((await client.get(f"Patient/{name}/_history?_count=1")).link("next") or "")
        again = await client.get(page.link("self") or "")
        assert [found["birthDate"] for found in again.resources] == ["1991"]

    async def test_can_be_read_again(self, client: Client, name: str) -> None:
        await family(client, name, 3)
        first = await client.get(f"Patient?family={name}&_count=1")
        following = first.link("next")
        assert following is not None
        assert (await client.get(following)).entries == (await client.get(following)).entries != []

    async def test_of_another_search_or_damaged_are_refused(self, client: Client, name: str) -> None:
        await family(client, name, 2)
        following = (await client.get(f"Patient?family={name}&_count=1")).link("next")
        assert following is not None
        assert (await client.get(following.replace(f"family={name}", "family=other"))).status == 400
        assert (await client.get(following.replace("Patient?", "Person?"))).status == 400
        assert (await client.get(following[:-2])).status == 400
        assert (await client.get(f"Patient?family={name}&_cursor=x")).status == 400

    async def test_are_no_larger_than_the_setting(self, client: Client, name: str) -> None:
        await family(client, name, 3)
        small = client.with_settings(max_count=2, default_count=1)
        assert len((await small.get(f"Patient?family={name}&_count=50")).ids) == 2
        assert len((await small.get(f"Patient?family={name}")).ids) == 1


class TestParameters:
    """R4 search.html#errors: unknown parameters may be ignored, and are named; a client may ask for strictness."""

    async def test_unknown_ones_are_ignored_and_named(self, client: Client, name: str) -> None:
        (only,) = await family(client, name, 1)
        answer = await client.get(f"Patient?family={name}&colour=red&birthdate=")
        assert answer.link("self") == f"Patient?family={name}"
        match, outcome = answer.entries
        assert (match["search"]["mode"], match["resource"]["id"]) == ("match", only)
        assert outcome["search"]["mode"] == "outcome"
        told = outcome["resource"]["issue"]
        assert {issue["severity"] for issue in told} == {"warning"}
        assert ["colour" in told[0]["diagnostics"], "birthdate" in told[1]["diagnostics"]] == [True, True]

    async def test_strict_handling_refuses_them(self, client: Client, name: str) -> None:
        url = f"Patient?family={name}&colour=red"
        assert (await client.get(url, prefer="handling=strict")).status == 400
        assert (await client.get(url, prefer="handling=lenient")).status == 200
        strict = client.with_settings(strict_search=True)
        assert (await strict.get(url)).status == 400
        assert (await strict.get(url, prefer="handling=lenient")).status == 200

    @pytest.mark.parametrize(
        "query",
        [
            "family:sounds=x",
            "birthdate=soon",
            "birthdate=2000-13",
            "active=maybe",
            "_count=-1",
            "_count=many",
            "_lastUpdated=x",
            "_total=exact",
            "_has:Observation:patient:colour=1",
            "organization.colour=x",
        ],
    )
    async def test_what_cannot_be_honoured_is_refused(self, client: Client, query: str) -> None:
        answer = await client.get(f"Patient?{query}")
        assert answer.status == 400
        assert answer.issue["severity"] == "error"

    @pytest.mark.parametrize("digits", ["9" * 301, "9" * 302, "9" * 400, "-" + "9" * 400])
    async def test_a_number_of_many_digits(self, client: Client, name: str, digits: str) -> None:
        """R4 datatypes.html#decimal leaves the range to the server; a Location's position is indexed (near)."""
        body = (
            '{"resourceType":"Observation","id":"%s","status":"final","code":{"text":"x"},"valueQuantity":{"value":%s}}'
        )
        kept = len(digits) == 301
        answer = await client.put(f"Observation/{name}", (body % (name, digits)).encode())
        assert answer.status == (201 if kept else 400), answer.body
        found = await client.get(f"Observation?value-quantity=gt{digits[:300]}&_id={name}")
        assert found.ids == ([name] if kept else [])

    async def test_common_ones_work_for_every_type(self, client: Client, name: str) -> None:
        """R4 search.html#all."""
        meta: Json = {
            "tag": [{"system": "urn:x:tags", "code": name}],
            "profile": [f"http://test.example/{name}"],
            "security": [{"system": "urn:x:labels", "code": name}],
            "source": f"urn:x:{name}",
        }
        stored = await client.stored({"resourceType": "Basic", "id": name, "meta": meta, "code": {"text": "x"}})
        updated = stored.resource["meta"]["lastUpdated"]
        for query in (
            f"_id={name}",
            f"_tag=urn:x:tags|{name}",
            f"_profile=http://test.example/{name}",
            f"_security={name}",
            f"_source=urn:x:{name}",
            f"_id={name}&_lastUpdated={updated}",
            f"_id={name}&_lastUpdated=ge{updated}",
        ):
            assert (await client.get(f"Basic?{query}")).ids == [name], query
        assert (await client.get(f"Basic?_id={name}&_lastUpdated=gt{updated}")).ids == []


def values(count: int, form: str) -> str:
    return ",".join(form.format(n) for n in range(count))


class TestLimits:
    """The most that a search may ask for is answered (docs/spec-clarifications/search.md, search-14)."""

    @pytest.mark.parametrize(("resource_type", "pairs"), [
        ("Patient", [("identifier", values(1000, "v{}"))]),
        ("Patient", [("identifier", values(20, "v{}"))] * 50),
        ("Observation", [("code", values(1000, "c{}"))]),
        ("Observation", [("subject", values(1000, "s{}"))]),
        ("Patient", [("name", values(200, "n{}"))]),
        ("Patient", [("birthdate", values(100, "ne1{:03}"))]),
        ("Observation", [("value-quantity", values(200, "{}"))]),
        ("Observation", [("combo-code-value-quantity", values(33, "c{}$5||mg"))]),
        ("Location", [("near", values(150, "1|{}"))]),
        ("Patient", [("_sort", "_id,_lastUpdated,birthdate,name,family,given,email,phone")]),
    ])  # fmt: skip
    async def test_the_most_is_answered(self, client: Client, resource_type: str, pairs: list[tuple[str, str]]) -> None:
        answer = await client.send("POST", f"{resource_type}/_search", query=[*pairs, ("_total", "accurate")])
        assert answer.status == 200, answer.body

    @pytest.mark.parametrize(("resource_type", "pairs"), [
        ("Patient", [("name", values(987, "n{}"))]),
        ("Patient", [("birthdate", values(1000, "1{:03}"))]),
        ("Observation", [("value-quantity", values(1000, "{}"))]),
        ("Observation", [("code-value-quantity", values(1000, "c{}$5"))]),
        ("Location", [("near", values(1000, "1|1|{}"))]),
        ("Patient", [("identifier", "v")] * 1000),
        ("Patient", [("identifier", values(1000, "v{}"))] * 70),
    ])  # fmt: skip
    async def test_more_is_refused_with_what_to_do(
        self, client: Client, resource_type: str, pairs: list[tuple[str, str]]
    ) -> None:
        answer = await client.send("POST", f"{resource_type}/_search", query=pairs)
        assert (answer.status, answer.issue["code"]) == (400, "too-costly")
        assert pairs[0][0] in answer.issue["diagnostics"] or "one, separated by commas" in answer.issue["diagnostics"]

    async def test_many_sort_keys_that_are_one(self, client: Client, name: str) -> None:
        ids = await family(client, name, 3)
        answer = await client.send("GET", f"Patient?family={name}", query=[("_sort", "-birthdate," * 1600 + "_id")])
        assert answer.ids == ids[::-1]

    async def test_a_long_list_finds_what_a_short_one_does(self, client: Client, name: str) -> None:
        """R4 search.html#combining: values with commas are alternatives, however many."""
        texts = ['quo"te', "back\\slash", "Łódź", "\U0001f9b4"]
        for n, text in enumerate(texts):
            coding = {"system": "urn:x:codes", "code": f"{name}-{n}"}
            await client.stored(numbered(f"{name}{text}", f"{name}-{n}", maritalStatus={"coding": [coding]}))
        others = [f"other{n}" for n in range(200)]
        escaped = [f"{name}{text}".replace("\\", "\\\\") for text in texts]
        found = [f"{name}-{n}" for n in range(4)]
        for query in (
            [("identifier", ",".join([*others, *escaped]))],
            [("_id", ",".join([*others, *found]))],
            [("_id", ",".join(found)), ("identifier", ",".join([*others, *escaped]))],
        ):
            answer = await client.send("GET", "Patient", query=[*query, ("_total", "accurate"), ("_sort", "_id")])
            assert (answer.ids, answer.resource["total"]) == (found, 4)


class TestInBundles:
    @pytest.mark.parametrize("kind", ["batch", "transaction"])
    async def test_a_search_by_post_takes_its_parameters_in_the_url(self, client: Client, name: str, kind: str) -> None:
        """R4 http.html#search: the parameters of POST are a form, which an entry cannot hold; none may go unheard."""
        await client.stored(numbered(name, name))
        asked = {"method": "POST", "url": f"Patient/_search?identifier={SYSTEM}|{name}"}
        form = {"resourceType": "Parameters", "parameter": [{"name": "family", "valueString": "x"}]}
        for resource, status in (({}, "200"), ({"resource": form}, "400"), ({"resource": patient()}, "400")):
            bundle = {"resourceType": "Bundle", "type": kind, "entry": [{"request": asked, **resource}]}
            answer = await client.post("", bundle)
            if kind == "transaction" and status == "400":
                assert (answer.status, answer.issue["expression"]) == (400, ["Bundle.entry[0].resource"])
                assert "url" in answer.issue["diagnostics"]
                continue
            (entry,) = answer.entries
            assert entry["response"]["status"] == status, answer.body


class TestElsewhere:
    async def test_what_is_not_a_type(self, client: Client) -> None:
        for path in ("Pet", "patient", "Patient/1/Pet", "Patient/1/Observation/2"):
            assert (await client.get(path)).status == 404, path
