"""_include and _revinclude: R4 search.html#include, #revinclude, bundle.html#searchset."""

from __future__ import annotations

import pytest

from fhir_server.interactions.exchange import Request, Server
from fhir_server.interactions.router import dispatch
from fhir_server.model.identity import rid
from fhir_server.model.json import decode
from fhir_server.storage import query as q
from fhir_server.storage.scope import Scope
from tests.interactions.conftest import BASE_URL, Answer, Client, Json, patient

pytestmark = pytest.mark.asyncio(loop_scope="module")


def reference(target: str) -> Json:
    return {"reference": target}


def observation(logical_id: str, subject: str, **elements: object) -> Json:
    return {
        "resourceType": "Observation",
        "id": logical_id,
        "status": "final",
        "code": {"text": "x"},
        "subject": reference(f"Patient/{subject}"),
        **elements,
    }


def modes(answer: Answer) -> dict[str, list[str]]:
    """Type/id of the entries by their search.mode."""
    found: dict[str, list[str]] = {}
    for entry in answer.entries:
        resource = entry["resource"]
        found.setdefault(entry["search"]["mode"], []).append(f"{resource['resourceType']}/{resource.get('id')}")
    return {mode: sorted(names) for mode, names in found.items()}


async def clinic(client: Client, name: str) -> None:
    """An organisation, a practitioner, two patients (the second linked to the first) and three observations."""
    await client.stored({"resourceType": "Organization", "id": f"{name}-org", "name": name})
    await client.stored({"resourceType": "Practitioner", "id": f"{name}-gp", "name": [{"family": name}]})
    organization = reference(f"Organization/{name}-org")
    for n in range(2):
        links = [{"other": reference(f"Patient/{name}-0"), "type": "seealso"}] if n else []
        await client.stored(
            patient(
                f"{name}-{n}",
                name=[{"family": name}],
                managingOrganization=organization,
                generalPractitioner=[reference(f"Practitioner/{name}-gp")],
                **({"link": links} if links else {}),
            )
        )
    for n in range(3):
        await client.stored(observation(f"{name}-o{n}", f"{name}-{n % 2}"))


class TestInclude:
    async def test_adds_what_the_matches_refer_to_once(self, client: Client, name: str) -> None:
        await clinic(client, name)
        answer = await client.get(f"Observation?patient.family={name}&_include=Observation:subject&_total=accurate")
        assert modes(answer) == {
            "match": [f"Observation/{name}-o{n}" for n in range(3)],
            "include": [f"Patient/{name}-0", f"Patient/{name}-1"],
        }
        assert answer.resource["total"] == 3  # R4 search.html#count: included resources are not counted
        assert answer.link("self") == (
            f"Observation?patient.family={name}&_include=Observation:subject&_total=accurate"
        )
        for entry in answer.entries:
            resource = entry["resource"]
            assert entry["fullUrl"] == f"{BASE_URL}/{resource['resourceType']}/{resource['id']}"

    async def test_a_match_is_no_include_too(self, client: Client, name: str) -> None:
        await clinic(client, name)
        answer = await client.get(f"Patient?family={name}&_include=Patient:link")
        assert modes(answer) == {"match": [f"Patient/{name}-0", f"Patient/{name}-1"]}
        answer = await client.get(f"Patient?_id={name}-1&_include=Patient:link")
        assert modes(answer) == {"match": [f"Patient/{name}-1"], "include": [f"Patient/{name}-0"]}

    @pytest.mark.parametrize(("value", "found"), [
        ("Patient:*", {"Organization/{}-org", "Practitioner/{}-gp"}),
        ("*", {"Organization/{}-org", "Practitioner/{}-gp"}),
        ("Patient:general-practitioner", {"Practitioner/{}-gp"}),
        ("Patient:general-practitioner:Practitioner", {"Practitioner/{}-gp"}),
        ("Patient:general-practitioner:Organization", set()),
    ])  # fmt: skip
    async def test_by_wildcard_and_by_type(self, client: Client, name: str, value: str, found: set[str]) -> None:
        """R4 search.html#include: * for the parameter; the third part names the type referred to."""
        await clinic(client, name)
        answer = await client.get(f"Patient?_id={name}-0&_include={value}")
        assert set(modes(answer).get("include", ())) == {one.format(name) for one in found}

    async def test_a_target_that_is_gone_is_left_out(self, client: Client, name: str) -> None:
        """R4 search.html#include: the resource is omitted, and no error is returned."""
        await client.stored(observation(f"{name}-o", f"{name}-never"))
        answer = await client.get(f"Observation?_id={name}-o&_include=Observation:subject")
        assert modes(answer) == {"match": [f"Observation/{name}-o"]}
        await client.stored(patient(f"{name}-never"))
        assert "include" in modes(await client.get(f"Observation?_id={name}-o&_include=Observation:subject"))
        await client.delete(f"Patient/{name}-never")
        answer = await client.get(f"Observation?_id={name}-o&_include=Observation:subject")
        assert modes(answer) == {"match": [f"Observation/{name}-o"]}

    async def test_by_canonical(self, client: Client, name: str) -> None:
        """R4 references.html#canonical: with a version only that one, without one all of that url."""
        url = f"http://example.org/Questionnaire/{name}"
        for version in ("1", "2"):
            await client.stored(
                {
                    "resourceType": "Questionnaire",
                    "id": f"{name}-{version}",
                    "url": url,
                    "version": version,
                    "status": "active",
                }
            )
        for suffix, found in (("|2", [f"Questionnaire/{name}-2"]), ("", [f"Questionnaire/{name}-{n}" for n in (1, 2)])):
            answered = {"resourceType": "QuestionnaireResponse", "id": f"{name}-r", "status": "completed"}
            await client.stored(answered | {"questionnaire": url + suffix})
            answer = await client.get(
                f"QuestionnaireResponse?_id={name}-r&_include=QuestionnaireResponse:questionnaire"
            )
            assert modes(answer)["include"] == found
            for version in ("1", "2"):
                answer = await client.get(
                    f"Questionnaire?_id={name}-{version}&_revinclude=QuestionnaireResponse:questionnaire"
                )
                wanted = f"Questionnaire/{name}-{version}" in found
                assert modes(answer).get("include", []) == ([f"QuestionnaireResponse/{name}-r"] if wanted else [])

    async def test_contained_resources_are_not_included(self, client: Client, name: str) -> None:
        contained = [{"resourceType": "Patient", "id": "p"}]
        own = observation(f"{name}-o", "x") | {"contained": contained, "subject": reference("#p")}
        await client.stored(own)
        answer = await client.get(f"Observation?_id={name}-o&_include=Observation:subject")
        assert modes(answer) == {"match": [f"Observation/{name}-o"]}


class TestRevInclude:
    async def test_adds_what_refers_to_the_matches(self, client: Client, name: str) -> None:
        await clinic(client, name)
        answer = await client.get(f"Patient?_id={name}-0&_revinclude=Observation:subject")
        assert modes(answer)["include"] == [f"Observation/{name}-o0", f"Observation/{name}-o2"]
        answer = await client.get(f"Patient?_id={name}-0&_revinclude=*")
        assert modes(answer)["include"] == [f"Observation/{name}-o0", f"Observation/{name}-o2", f"Patient/{name}-1"]
        answer = await client.get(f"Patient?_id={name}-0&_revinclude=Observation:*")
        assert modes(answer)["include"] == [f"Observation/{name}-o0", f"Observation/{name}-o2"]

    async def test_of_what_refers_no_longer(self, client: Client, name: str) -> None:
        await clinic(client, name)
        await client.delete(f"Observation/{name}-o0")
        await client.stored(observation(f"{name}-o2", f"{name}-1"))
        answer = await client.get(f"Patient?_id={name}-0&_revinclude=Observation:patient")
        assert "include" not in modes(answer)


class TestIterate:
    async def test_follows_what_was_included(self, client: Client, name: str) -> None:
        """R4 search.html#include: only with :iterate."""
        await clinic(client, name)
        base = f"Observation?_id={name}-o0&_include=Observation:subject"
        answer = await client.get(f"{base}&_include:iterate=Patient:organization")
        assert modes(answer)["include"] == [f"Organization/{name}-org", f"Patient/{name}-0"]
        answer = await client.get(f"{base}&_include=Patient:organization")
        assert (answer.status, answer.issue["code"]) == (400, "invalid")
        assert ":iterate" in answer.issue["diagnostics"]

    async def test_a_circle_ends(self, client: Client, name: str) -> None:
        for n in range(4):
            other = reference(f"Observation/{name}-{(n + 1) % 4}")
            await client.stored(observation(f"{name}-{n}", name, hasMember=[other]))
        answer = await client.get(f"Observation?_id={name}-0&_include:iterate=Observation:has-member")
        assert modes(answer)["include"] == [f"Observation/{name}-{n}" for n in (1, 2, 3)]
        answer = await client.get(f"Observation?_id={name}-0&_include=Observation:has-member")
        assert modes(answer)["include"] == [f"Observation/{name}-1"]
        everything = "&_include:iterate=*&_revinclude:iterate=*"
        answer = await client.get(f"Observation?_id={name}-2{everything}")
        assert modes(answer)["include"] == [f"Observation/{name}-{n}" for n in (0, 1, 3)]

    async def test_a_long_chain_ends_with_a_word(self, client: Client, name: str) -> None:
        for n in range(14):
            await client.stored(observation(f"{name}-{n}", name, hasMember=[reference(f"Observation/{name}-{n + 1}")]))
        answer = await client.get(f"Observation?_id={name}-0&_include:iterate=Observation:has-member")
        assert len(modes(answer)["include"]) == 10
        (outcome,) = (one["resource"] for one in answer.entries if one["search"]["mode"] == "outcome")
        assert outcome["issue"][0]["code"] == "incomplete"


class TestPages:
    async def test_every_page_has_its_own(self, client: Client, name: str) -> None:
        """R4 search.html#Paging: also what an earlier page had."""
        await clinic(client, name)
        answer = await client.get(f"Observation?patient.family={name}&_include=Observation:subject&_count=1")
        for _ in range(3):
            assert {mode: len(found) for mode, found in modes(answer).items()} == {"match": 1, "include": 1}
            following = answer.link("next")
            if following:
                answer = await client.get(following)
        assert answer.link("next") is None

    async def test_more_than_one_page_has_follow_on_the_next(self, client: Client, name: str) -> None:
        await clinic(client, name)
        for n in range(7):
            await client.stored(observation(f"{name}-more{n}", f"{name}-0"))
        small = client.with_settings(max_includes=3)
        url = f"Patient?family={name}&_sort=_id&_count=1&_revinclude=Observation:subject&_total=accurate"
        pages = [await small.get(url)]
        while (following := pages[-1].link("next")) is not None:
            pages.append(await small.get(following))
            assert pages[-1].resource["total"] == 2
        found = [modes(page) for page in pages]
        assert [len(page.get("match", ())) for page in found] == [1, 0, 0, 1]
        assert [len(page.get("include", ())) for page in found] == [3, 3, 3, 1]
        assert [len(page.get("outcome", ())) for page in found] == [1, 1, 0, 0]
        everything = [one for page in found for one in page["include"]]
        assert sorted(everything) == sorted(
            [f"Observation/{name}-o{n}" for n in range(3)] + [f"Observation/{name}-more{n}" for n in range(7)]
        )
        back = await small.get(str(pages[-1].link("previous")))
        assert modes(back)["match"] == [f"Patient/{name}-0"]
        back = await small.get(str(pages[2].link("previous")))
        assert modes(back) == found[0]

    async def test_they_show_the_moment_of_the_first_page(self, client: Client, name: str) -> None:
        await clinic(client, name)
        answer = await client.get(f"Observation?patient.family={name}&_sort=_id&_include=Observation:subject&_count=2")
        await client.stored(patient(f"{name}-0", name=[{"family": "Changed"}]))
        await client.stored(observation(f"{name}-o2", f"{name}-1"))
        answer = await client.get(str(answer.link("next")))
        assert modes(answer)["include"] == [f"Patient/{name}-0"]
        (included,) = (one["resource"] for one in answer.entries if one["search"]["mode"] == "include")
        assert included["name"] == [{"family": name}]

    @pytest.mark.parametrize("iterate", ["", ":iterate"])
    async def test_with_iterate_all_levels_follow(self, client: Client, name: str, iterate: str) -> None:
        await clinic(client, name)
        small = client.with_settings(max_includes=1)
        url = (
            f"Observation?_id={name}-o0,{name}-o1,{name}-o2&_include=Observation:subject"
            f"&_include:iterate=Patient:organization&_revinclude{iterate}=Observation:subject"
        )
        if not iterate:
            url = url.partition("&_revinclude")[0]
        whole = modes(await client.get(url))
        assert len(whole["include"]) == 3
        answer, found = await small.get(url), []
        while True:
            found += modes(answer).get("include", [])
            following = answer.link("next")
            if following is None:
                break
            answer = await small.get(following)
        assert sorted(found) == whole["include"]


class TestScope:
    async def test_what_is_hidden_is_not_included(self, client: Client, name: str) -> None:
        """Neither by a reference nor against one, at whatever level."""
        await clinic(client, name)
        own = rid("Patient", f"{name}-0")
        scope = Scope("p", (q.InCompartment((own,)),))
        for url in (
            "Observation?_include=Observation:subject&_include:iterate=Patient:link&_revinclude:iterate=Patient:link",
            "Patient?_revinclude=Observation:subject&_revinclude:iterate=*&_include:iterate=*",
        ):
            path, _, text = url.partition("?")
            pairs = [(one.partition("=")[0], one.partition("=")[2]) for one in text.split("&")]
            request = Request("GET", path, pairs, base_url=BASE_URL, scope=scope)
            response = await dispatch(Server(client.server.store, client.server.settings), request)
            assert isinstance(response.body, bytes)
            found = {entry["resource"]["id"] for entry in decode(response.body).get("entry", ())}
            # The second patient refers to the first, and so is in its compartment by R4's definition.
            assert found == {f"{name}-0", f"{name}-1", f"{name}-o0", f"{name}-o2"}


class TestInBundles:
    @pytest.mark.parametrize("kind", ["batch", "transaction"])
    async def test_an_entry_includes_too(self, client: Client, name: str, kind: str) -> None:
        await clinic(client, name)
        late = observation(f"{name}-late", f"{name}-0")
        entries = [
            {"resource": late, "request": {"method": "PUT", "url": f"Observation/{name}-late"}},
            {"request": {"method": "GET", "url": f"Patient?_id={name}-0&_revinclude=Observation:subject"}},
            {"request": {"method": "GET", "url": f"Patient/{name}-0/Observation?_summary=count"}},
            {"request": {"method": "GET", "url": f"?_type=Patient&_id={name}-0"}},
        ]
        answer = await client.post("", {"resourceType": "Bundle", "type": kind, "entry": entries})
        assert answer.status == 200, answer.body
        found = answer.resource["entry"][1]["resource"]["entry"]
        if kind == "transaction":  # R4 http.html#trules: reads come after the writes
            assert [entry["search"]["mode"] for entry in found].count("include") == 3
        assert [one["response"]["status"] for one in answer.resource["entry"]][1:] == ["200"] * 3
