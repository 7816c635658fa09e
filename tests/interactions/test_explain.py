"""X-Explain, and what a search over its budget names."""

from __future__ import annotations

import pytest

from fhir_server.errors import TooCostly
from fhir_server.interactions.exchange import Server
from fhir_server.search.compile import compile_query
from fhir_server.search.costly import costliest
from fhir_server.search.parse import parse_search
from tests.interactions.conftest import Client, Json, patient

pytestmark = pytest.mark.asyncio(loop_scope="module")


def values(parameters: Json, name: str) -> list[Json]:
    return [one for one in parameters["parameter"] if one["name"] == name]


def part(one: Json, name: str) -> object:
    return next(value for each in one["part"] if each["name"] == name for key, value in each.items() if key != "name")


@pytest.mark.parametrize(
    "url", ["Patient?family={}&_revinclude=*&_total=accurate", "?_type=Patient,Group&_id={}", "Patient/{}/*"]
)
async def test_it_tells_the_plan_and_every_statement(client: Client, engine: str, name: str, url: str) -> None:
    await client.stored(patient(name, name=[{"family": name}]))
    developing = client.with_settings(explain=True)
    answer = await developing.get(url.format(name), x_explain="true")
    assert (answer.status, answer.resource["resourceType"]) == (200, "Parameters")
    plans, statements = values(answer.resource, "plan"), values(answer.resource, "statement")
    assert "Patient" in {part(plan, "type") for plan in plans}
    assert {part(plan, "rank") for plan in plans} <= {"selective", "token", "range", "listing"}
    assert all(part(plan, "driver") for plan in plans)
    page = next(one for one in statements if "JOIN version ver" in str(part(one, "sql")))
    assert part(page, "rows") == 1
    assert ("SEARCH" if engine == "sqlite" else "Buffers: shared hit") in str(part(page, "plan"))
    (elapsed,) = values(answer.resource, "milliseconds")
    assert elapsed["valueDecimal"] >= part(page, "milliseconds")
    plain = await developing.get(url.format(name))
    assert plain.resource["resourceType"] == "Bundle"


async def test_it_is_refused_without_the_setting(client: Client, name: str) -> None:
    answer = await client.get(f"Patient?family={name}", x_explain="true")
    assert (answer.status, answer.issue["code"]) == (403, "forbidden")
    assert "FHIR_EXPLAIN" in answer.issue["diagnostics"]


@pytest.mark.parametrize(("resource_type", "pairs", "names"), [
    ("Patient", [("family", "a"), ("gender:not", "male")], ["gender:not"]),
    ("Observation", [("code", "a"), ("date", "ge2020")], ["date"]),
    ("Observation", [("code", "a"), ("patient.name", "b")], ["patient.name"]),
    ("Observation", [("patient", "Patient/1"), ("_sort", "value-quantity"), ("_total", "accurate")],
     ["patient", "_sort", "_total"]),
    ("Patient", [("_has:Observation:patient:code", "x")], ["_has:Observation:patient:code"]),
])  # fmt: skip
async def test_what_costs_most(resource_type: str, pairs: list[tuple[str, str]], names: list[str]) -> None:
    request = parse_search(resource_type, pairs, strict=True)
    assert costliest(request, compile_query(request, base_url="", time_zone="UTC")) == names


class Spent:
    """A store of which every search, or what it includes, goes over its budget."""

    def __init__(self, store: object, method: str) -> None:
        self._store = store
        self._method = method

    def __getattr__(self, name: str) -> object:
        if name != self._method:
            return getattr(self._store, name)

        async def spent(*_: object) -> None:
            raise TooCostly("This search takes too long: narrow it.")

        return spent


@pytest.mark.parametrize(("method", "named"), [("search", "family, birthdate."), ("included", "_revinclude.")])
async def test_a_search_over_its_budget_names_it(client: Client, name: str, method: str, named: str) -> None:
    await client.stored(patient(name, name=[{"family": name}], birthDate="2000-01-01"))
    spent = Client(Server(Spent(client.server.store, method), client.server.settings))  # type: ignore[arg-type]
    answer = await spent.get(f"Patient?family={name}&birthdate=2000&_revinclude=*")
    assert (answer.status, answer.issue["code"]) == (422, "too-costly")
    assert answer.issue["diagnostics"].endswith(f"What costs most: {named}")
    assert name not in answer.issue["diagnostics"]


async def test_it_tells_what_was_read_beforehand_and_beside(client: Client, name: str) -> None:
    """The resources that a value set is made of, and the containers of contained matches."""
    include = {"system": "urn:explained", "concept": [{"code": "a"}]}
    value_set = {"resourceType": "ValueSet", "id": name, "status": "active", "compose": {"include": [include]}}
    await client.stored(value_set)
    coding = {"system": "urn:explained", "code": "a"}
    medication = {"resourceType": "Medication", "id": "m", "code": {"coding": [coding]}}
    holder = {
        "resourceType": "MedicationRequest", "id": name, "status": "active", "intent": "order",
        "subject": {"display": "Somebody"}, "contained": [medication], "medicationReference": {"reference": "#m"},
    }  # fmt: skip
    await client.stored(holder)
    developing = client.with_settings(explain=True)
    url = f"Medication?code:in=ValueSet/{name}&_contained=true"
    answer = await developing.get(url, x_explain="true")
    assert (answer.status, answer.resource["resourceType"]) == (200, "Parameters"), answer.body
    assert (await developing.get(url)).ids == [name]
