"""SearchParameter resources at runtime (R4 searchparameter.html): registered, built, searched, changed and retired."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fhir_server.errors import FhirError
from fhir_server.interactions.current_registry import refresh
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.interactions.router import dispatch
from fhir_server.model.json import encode, parse
from fhir_server.operations.served import served_operations
from fhir_server.search import reindex
from fhir_server.search.extract import extract
from fhir_server.search.reindex import Reindexer
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.base import Store
from fhir_server.storage.rows import EXTRACTION
from fhir_server.storage.sql import parameters

Json = dict[str, Any]
BASE = "http://test.example/fhir"
RACE = "http://example.org/race"


class Worker:
    """One server process's view of the database, with its own registry."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.server = Server(store, settings, served_operations(settings.canonical_base))
        self.reindexer = Reindexer(store, settings.time_zone, share=1.0)

    async def call(self, method: str, url: str, body: Any = None, **headers: str) -> tuple[int, Json, Response | None]:
        path, _, query = url.partition("?")
        pairs = [tuple(part.split("=", 1)) for part in query.split("&") if part]
        sent = b"" if body is None else encode(body)
        named = {"content-type": "application/fhir+json"} | headers
        request = Request(method, path, pairs, named, sent, base_url=BASE)  # type: ignore[arg-type]
        try:
            response = await dispatch(self.server, request)
        except FhirError as error:
            return error.status, error.as_json(), None
        assert isinstance(response.body, bytes)
        return response.status, parse(response.body, max_depth=100) if response.body else {}, response

    async def put(self, resource: Json) -> int:
        status, answer, _ = await self.call("PUT", f"{resource['resourceType']}/{resource['id']}", resource)
        assert status in (200, 201), answer
        return status

    async def find(self, url: str) -> list[str]:
        status, bundle, _ = await self.call("GET", url, prefer="handling=strict")
        assert status == 200, bundle
        return sorted(entry["resource"]["id"] for entry in bundle.get("entry", ()))

    async def known(self, url: str) -> bool:
        await refresh(self.server)
        status, _, _ = await self.call("GET", url, prefer="handling=strict")
        return status == 200

    async def build(self) -> None:
        """Run every job there is."""
        while await self.reindexer.run_next():
            continue
        await refresh(self.server)

    async def refused(self, resource: Json) -> Json:
        status, outcome, _ = await self.call("PUT", f"SearchParameter/{resource['id']}", resource)
        assert status in (400, 409, 422), (status, outcome)
        (issue,) = outcome["issue"]
        assert isinstance(issue, dict)
        return issue | {"status": status}


@pytest.fixture
def worker(store: Store, settings: Settings) -> Worker:
    return Worker(store, settings)


@pytest.fixture
async def other(settings: Settings, engine: str, worker: Worker) -> AsyncIterator[Worker]:
    """A second process: on PostgreSQL a store of its own, on SQLite (one writer) another registry and runner."""
    if engine == "sqlite":
        yield Worker(worker.server.store, settings)
        return
    store = await open_store(settings)
    yield Worker(store, settings)
    await store.close()


def definition(**changed: Any) -> Json:
    return {
        "resourceType": "SearchParameter",
        "id": "eye",
        "url": "http://example.org/SearchParameter/eye",
        "name": "Eye",
        "status": "active",
        "description": "Eye colour",
        "code": "eye",
        "base": ["Patient"],
        "type": "string",
        "expression": "Patient.name.suffix",
    } | changed


def patient(logical_id: str, eye: str, **elements: Any) -> Json:
    return {"resourceType": "Patient", "id": logical_id, "name": [{"suffix": [eye]}], **elements}


def transaction(*resources: Json) -> Json:
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


async def test_of_a_type_that_nothing_is_stored_of_it_is_searched_at_once(worker: Worker) -> None:
    await worker.put({"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "other type"}})
    await worker.put(definition())
    assert await worker.known("Patient?eye=blue")
    assert await worker.server.store.reindexing.jobs() == []
    await worker.put(patient("a", "blue"))
    assert await worker.find("Patient?eye=blue") == ["a"]


async def test_parameters_of_one_transaction_and_the_same_types_are_built_in_one_pass(worker: Worker) -> None:
    await worker.put(patient("a", "blue"))
    first = definition()
    second = definition(
        id="ear", url="http://example.org/SearchParameter/ear", code="ear", expression="Patient.name.text"
    )
    status, answer, _ = await worker.call("POST", "", transaction(first, second))
    assert status == 200, answer
    await worker.build()
    assert [(job.kind, len(job.plan.numbers), job.done) for job in await worker.server.store.reindexing.jobs()] == [
        ("build", 2, 1)
    ]
    assert await worker.find("Patient?eye=blue") == ["a"]
    assert await worker.find("Patient?ear:missing=true") == ["a"]


async def test_what_is_stored_in_one_transaction_with_it_is_built(worker: Worker) -> None:
    """The entries were indexed before there was the parameter."""
    status, answer, _ = await worker.call("POST", "", transaction(definition(), patient("a", "blue")))
    assert status == 200, answer
    assert not await worker.known("Patient?eye=blue")
    await worker.build()
    assert await worker.find("Patient?eye=blue") == ["a"]


async def test_it_is_unknown_until_it_is_built_and_right_from_then_on(worker: Worker, other: Worker) -> None:
    for n in range(120):
        await worker.put(patient(f"p{n}", "blue" if n % 3 == 0 else "brown"))
    await worker.put(definition())
    assert not await worker.known("Patient?eye=blue")
    assert not await other.known("Patient?eye=blue")
    await other.put(patient("late", "blue"))  # another process writes its rows from now on
    assert not await other.known("Patient?eye=blue")
    assert await consistent(worker), "rows that are still to come are no finding"
    await worker.build()
    wanted = sorted([*(f"p{n}" for n in range(0, 120, 3)), "late"])
    assert await worker.find("Patient?eye=blue&_count=1000") == wanted
    await refresh(other.server)
    assert await other.find("Patient?eye=blue&_count=1000") == wanted
    assert await other.find("Patient?eye:missing=true") == []
    _, statement, _ = await other.call("GET", "metadata")
    (declared,) = (r for r in statement["rest"][0]["resource"] if r["type"] == "Patient")
    assert {"name": "eye", "type": "string", "definition": "http://example.org/SearchParameter/eye"} in [
        {key: one.get(key) for key in ("name", "type", "definition")} for one in declared["searchParam"]
    ]
    assert await consistent(worker)


async def consistent(worker: Worker) -> bool:
    await refresh(worker.server)
    zone = worker.server.settings.time_zone

    def rows(body: bytes) -> Any:
        return extract(parse(body, max_depth=100), zone, worker.server.registry)

    return not [found async for found in worker.server.store.check(rows)]


async def test_writers_race_with_the_build_and_nothing_is_missed(
    worker: Worker, other: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Updates and deletes of both processes while a job runs in small steps; compared with what is stored."""
    monkeypatch.setattr(reindex, "BATCH", 7)
    eyes = ("blue", "brown", "green")
    for n in range(100):
        await worker.put(patient(f"p{n}", eyes[n % 3]))
    await worker.put(definition())
    done = asyncio.Event()

    async def write(by: Worker, first: int) -> None:
        n = first
        while not done.is_set():
            if n % 5 == 0:
                await by.call("DELETE", f"Patient/p{n % 100}")
            else:
                await by.put(patient(f"p{n % 130}", eyes[n % 7 % 3]))
            n += 3
            await asyncio.sleep(0)

    writers = [asyncio.create_task(write(worker, 1)), asyncio.create_task(write(other, 2))]
    await other.build()
    done.set()
    await asyncio.gather(*writers)
    await refresh(worker.server)
    _, everyone, _ = await worker.call("GET", "Patient?_count=1000")
    stored = {entry["resource"]["id"]: entry["resource"]["name"][0]["suffix"][0] for entry in everyone["entry"]}
    for eye in eyes:
        wanted = sorted(key for key, value in stored.items() if value == eye)
        assert await worker.find(f"Patient?eye={eye}&_count=1000") == wanted
    assert await consistent(worker)


async def test_another_process_goes_on_where_one_was_killed(
    worker: Worker, other: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reindex, "BATCH", 10)
    monkeypatch.setattr(reindex, "LEASE_SECONDS", 0.0)
    for n in range(60):
        await worker.put(patient(f"p{n}", "blue"))
    await worker.put(definition())
    job = await worker.server.store.reindexing.claim("dead", 0.0)
    assert job is not None
    await refresh(worker.server)
    moved = await worker.reindexer._step(job, worker.server.registry)
    assert moved is not None
    assert moved.done == 10
    # The process dies here: it neither releases the job nor renews its lease.
    await other.build()
    (finished,) = [one for one in await other.server.store.reindexing.jobs() if one.id == job.id]
    assert (finished.state, finished.done) == ("completed", 60)
    await refresh(worker.server)
    assert await worker.reindexer._step(moved, worker.server.registry) is None, "the dead one's lease is gone"
    assert len(await other.find("Patient?eye=blue&_count=1000")) == 60
    assert await consistent(other)


async def test_a_cancelled_build_is_not_searched_until_it_is_resumed(worker: Worker) -> None:
    await worker.put(patient("p1", "blue"))
    await worker.put(definition())
    (job,) = await worker.server.store.reindexing.jobs()
    status, _, response = await worker.call("GET", f"$reindex?job={job.id}")
    assert status == 202
    assert response is not None
    assert response.headers["X-Progress"] == "waiting: 0 of 0"
    assert (await worker.call("POST", f"$reindex?cancel={job.id}"))[0] == 200
    assert (await worker.call("POST", f"$reindex?cancel={job.id}"))[0] == 422
    await worker.build()
    assert not await worker.known("Patient?eye=blue")
    status, _, response = await worker.call("POST", "$reindex")
    assert status == 202
    assert response is not None
    location = response.headers["Content-Location"].removeprefix(f"{BASE}/")
    await worker.build()
    status, answer, _ = await worker.call("GET", location)
    assert status == 200
    parts = {part["name"]: part for part in answer["parameter"][0]["part"]}
    assert parts["state"]["valueCode"] == "completed"
    assert parts["parameter"]["valueString"] == "Patient.eye"
    assert await worker.find("Patient?eye=blue") == ["p1"]
    assert (await worker.call("POST", "$reindex"))[0] == 200
    assert (await worker.call("GET", "$reindex?job=99"))[0] == 404


async def test_a_changed_expression_is_searched_once_its_rows_are_there(worker: Worker) -> None:
    """Until then the definition before is."""
    await worker.put(patient("p1", "blue", gender="male"))
    await worker.put(definition())
    await worker.build()
    await worker.put(definition(type="token", expression="Patient.gender"))
    await refresh(worker.server)
    assert await worker.find("Patient?eye=blue") == ["p1"]
    await worker.build()
    assert await worker.find("Patient?eye=male") == ["p1"]
    assert await worker.find("Patient?eye=blue") == []
    numbers = [one.number for one in worker.server.registry.custom]
    assert numbers == [100_001], "a number never gets another meaning"


@pytest.mark.parametrize("how", ["delete", "retire", "purge"])
async def test_a_parameter_that_is_gone_is_unknown_and_its_rows_are_cleared(
    worker: Worker, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameters, "CLEARING_PAUSE_SECONDS", 0)
    await worker.put(patient("p1", "blue"))
    await worker.put(definition())
    await worker.build()
    assert await worker.find("Patient?eye=blue") == ["p1"]
    if how == "retire":
        await worker.put(definition(status="retired"))
    else:
        method, url = ("DELETE", "SearchParameter/eye") if how == "delete" else ("POST", "SearchParameter/eye/$purge")
        assert (await worker.call(method, url))[0] in (200, 204)
    assert not await worker.known("Patient?eye=blue")
    assert await consistent(worker), "rows that are still to go are no finding"
    await worker.build()
    assert await consistent(worker), "no row of it is left"
    await worker.put(definition())
    await worker.build()
    assert await worker.find("Patient?eye=blue") == ["p1"]


async def test_a_transaction_may_bring_the_parameter_and_the_resources(worker: Worker) -> None:
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in (definition(), patient("p1", "blue"), patient("p2", "brown"))
    ]
    status, answer, _ = await worker.call(
        "POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    )
    assert status == 200, answer
    await worker.build()
    assert await worker.find("Patient?eye=blue") == ["p1"]


async def test_a_failed_transaction_registers_nothing(worker: Worker) -> None:
    entries = [
        {"resource": definition(), "request": {"method": "PUT", "url": "SearchParameter/eye"}},
        {
            "resource": patient("p1", "blue"),
            "request": {"method": "PUT", "url": "Patient/p1", "ifMatch": 'W/"7"'},
        },
    ]
    status, _, _ = await worker.call("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert status == 412
    assert await worker.server.store.epoch() == 0
    assert (await worker.server.store.parameters()).parameters == ()


KINDS: list[tuple[str, str, Json, str, str]] = [
    ("token", "Patient.extension('http://example.org/race').value.ofType(Coding)",
     {"extension": [{"url": RACE, "valueCoding": {"system": "urn:s", "code": "a"}}]}, "urn:s|a", "urn:s|b"),
    ("date", "Patient.contact.period",
     {"contact": [{"period": {"start": "2024-03", "end": "2024-03-20"}}]}, "2024-03", "2023"),
    ("reference", "Patient.contact.organization",
     {"contact": [{"organization": {"reference": "Organization/o"}}]}, "Organization/o", "Organization/x"),
    ("quantity", "(Patient.extension('http://example.org/race').value as Quantity)",
     {"extension": [{"url": RACE, "valueQuantity": {
         "value": 5, "system": "http://unitsofmeasure.org", "code": "mg"}}]}, "5|http://unitsofmeasure.org|mg", "6"),
    ("number", "Patient.multipleBirth.ofType(integer)", {"multipleBirthInteger": 2}, "2", "3"),
    ("uri", "Patient.implicitRules", {"implicitRules": "urn:r"}, "urn:r", "urn:x"),
    ("string", "Patient.contact.name", {"contact": [{"name": {"family": "Iyer"}}]}, "iye", "yer"),
]  # fmt: skip


@pytest.mark.parametrize(("search_type", "expression", "elements", "hit", "miss"), KINDS, ids=[k[0] for k in KINDS])
async def test_every_type_is_indexed_before_and_after(
    worker: Worker, search_type: str, expression: str, elements: Json, hit: str, miss: str
) -> None:
    await worker.put({"resourceType": "Patient", "id": "before", **copy.deepcopy(elements)})
    await worker.put({"resourceType": "Patient", "id": "without"})
    await worker.put(definition(type=search_type, expression=expression))
    await worker.put({"resourceType": "Patient", "id": "after", **copy.deepcopy(elements)})
    await worker.build()
    assert await worker.find(f"Patient?eye={hit}") == ["after", "before"]
    assert await worker.find(f"Patient?eye={miss}") == []
    assert await worker.find("Patient?eye:missing=true") == ["without"]
    assert await consistent(worker)


async def test_a_composite_of_r4s_and_a_chain_by_a_custom_reference(worker: Worker) -> None:
    code = {"coding": [{"system": "urn:s", "code": "knee"}]}
    await worker.put({"resourceType": "Observation", "id": "o", "status": "final", "code": code, "bodySite": code})
    await worker.put({"resourceType": "Observation", "id": "x", "status": "amended", "code": code, "bodySite": code})
    await worker.put(
        definition(
            base=["Observation"],
            type="composite",
            expression="Observation",
            component=[
                {"definition": "http://hl7.org/fhir/SearchParameter/clinical-code", "expression": "code"},
                {"definition": "http://hl7.org/fhir/SearchParameter/Observation-status", "expression": "status"},
            ],
        )
    )
    await worker.put({"resourceType": "Organization", "id": "org", "name": "Five Weirs"})
    await worker.put(patient("p", "x", contact=[{"organization": {"reference": "Organization/org"}}]))
    await worker.put(
        definition(id="employer", code="employer", url="http://example.org/SearchParameter/employer", type="reference",
                   expression="Patient.contact.organization", target=["Organization"])
    )  # fmt: skip
    await worker.build()
    assert await worker.find("Observation?eye=urn:s|knee$final") == ["o"]
    assert await worker.find("Patient?employer.name=five") == ["p"]
    assert await worker.find("Organization?_has:Patient:employer:_id=p") == ["org"]


async def test_contained_resources_are_built_too(worker: Worker) -> None:
    """R4 search.html#contained: a chain goes into them."""
    inside = {"resourceType": "Practitioner", "id": "in", "name": [{"suffix": ["MD"]}]}
    await worker.put(patient("p", "x", contained=[inside], generalPractitioner=[{"reference": "#in"}]))
    await worker.put(definition(base=["Practitioner"], expression="Practitioner.name.suffix"))
    await worker.build()
    assert await worker.find("Patient?general-practitioner:Practitioner.eye=md") == ["p"]
    assert await consistent(worker)


async def test_a_base_of_resource_is_a_parameter_of_every_type(worker: Worker) -> None:
    await worker.put(patient("p", "x", language="cy"))
    await worker.put({"resourceType": "Organization", "id": "o", "name": "x", "language": "cy"})
    await worker.put(definition(base=["Resource"], type="token", expression="Resource.language"))
    await worker.build()
    assert await worker.find("Patient?eye=cy") == ["p"]
    assert await worker.find("Organization?eye=cy") == ["o"]


REFUSALS: list[tuple[str, Json, int, str, str]] = [
    ("clash", {"code": "family"}, 422, "SearchParameter.code", "R4's own"),
    ("clash with all", {"code": "_id"}, 422, "SearchParameter.code", "letter"),
    ("code", {"code": "a.b"}, 422, "SearchParameter.code", "cannot be used in a URL"),
    ("grammar", {"expression": "Patient.name.("}, 422, "SearchParameter.expression", "column 14"),
    ("function", {"expression": "Patient.name.trace('x')"}, 422, "SearchParameter.expression", "column"),
    ("element type", {"expression": "Patient.birthDate"}, 422, "SearchParameter.expression", "column"),
    ("one term of two", {"expression": "Patient.name.suffix | Patient.photo"}, 422, "SearchParameter.expression",
     "Attachment"),
    ("no such element", {"expression": "Patient.colour"}, 422, "SearchParameter.expression", "nothing"),
    ("another type's", {"expression": "Observation.code"}, 422, "SearchParameter.expression", "nothing"),
    ("special", {"type": "special"}, 422, "SearchParameter.type", "special"),
    ("no expression", {"expression": None}, 422, "SearchParameter.expression", "expression"),
    ("too deep", {"base": ["Questionnaire"], "expression": "Questionnaire" + ".item" * 40 + ".text"}, 422,
     "SearchParameter.expression", "steps"),
    ("unknown component", {"type": "composite", "expression": "Patient", "component": [
        {"definition": "http://example.org/none", "expression": "name"}] * 2}, 422,
     "SearchParameter.component[0].definition", "http://example.org/none"),
    ("one component", {"type": "composite", "expression": "Patient", "component": [
        {"definition": "http://hl7.org/fhir/SearchParameter/individual-gender", "expression": "gender"}]}, 422,
     "SearchParameter.component", "two"),
    ("target", {"type": "reference", "expression": "Patient.link.other", "target": ["Nothing"]}, 400, "", ""),
    ("base", {"base": ["Nothing"]}, 400, "", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "status", "place", "text"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS]
)
async def test_what_cannot_work_is_refused_and_a_draft_of_it_is_stored(
    worker: Worker, changed: Json, status: int, place: str, text: str
) -> None:
    resource = {key: value for key, value in definition(**changed).items() if value is not None}
    issue = await worker.refused(resource)
    assert issue["status"] == status
    if place:
        assert issue["expression"] == [place]
        assert text in issue["diagnostics"]
        await worker.put(resource | {"status": "draft"})
        assert (await worker.server.store.parameters()).parameters == ()


async def test_a_code_belongs_to_one_search_parameter(worker: Worker) -> None:
    await worker.put(definition())
    issue = await worker.refused(definition(id="eye2", url="http://example.org/SearchParameter/eye2"))
    assert issue["status"] == 409
    assert "SearchParameter/eye" in issue["diagnostics"]
    await worker.put(definition(base=["Practitioner"], expression="Practitioner.name.suffix", id="eye2"))


@pytest.mark.parametrize("only", ["{v}", "{v!r}", "'+__import__('os')+'", "{0.__class__}", "\\'"])
async def test_text_of_an_expression_stays_text_in_the_generated_function(worker: Worker, only: str) -> None:
    escaped = only.replace("\\", "\\\\").replace("'", "\\'")
    await worker.put(definition(type="token", expression=f"Patient.telecom.where(system='{escaped}')"))
    await worker.put(patient("p", "x", telecom=[{"system": "phone", "value": "1"}]))
    await worker.build()
    assert await worker.find("Patient?eye=1") == []


async def test_an_upgrade_that_changes_extraction_makes_all_rows_anew(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searches answer meanwhile, from the old rows."""
    await worker.reindexer.prepare()
    assert await worker.server.store.reindexing.jobs() == [], "a new database is of this extraction"
    for n in range(60):
        await worker.put(
            patient(
                f"p{n}",
                "x",
                gender="male",
                text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">knee</div>'},
            )
        )

    def other_extract(*arguments: Any) -> Any:
        rows = extract(*arguments)
        rows.texts = [(p, text.replace("x", "y"), w) for p, text, w in rows.texts]
        return rows

    monkeypatch.setattr(f"{reindex.__name__}.extract", other_extract)
    monkeypatch.setattr(reindex, "EXTRACTION", EXTRACTION + 1)
    await worker.reindexer.prepare()
    await worker.reindexer.prepare()
    (job,) = await worker.server.store.reindexing.jobs()
    assert (await worker.server.store.parameters()).extraction == EXTRACTION
    assert len(await worker.find("Patient?name=x&_count=100")) == 60
    await worker.build()
    assert (await worker.server.store.parameters()).extraction == EXTRACTION + 1
    assert len(await worker.find("Patient?name=y&_count=100")) == 60
    assert await worker.find("Patient?name=x") == []
    assert len(await worker.find("Patient?gender=male&_text=knee&_count=100")) == 60
    done = await worker.server.store.reindexing.job(job.id)
    assert done is not None
    assert (done.state, done.done, done.total) == ("completed", 60, 60)
