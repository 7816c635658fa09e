"""Plans of the main searches on both engines: narrow ranges of an index, never a walk over a table or a parameter.

Each statement is looked at as the store sends it (SQLite without statistics, as the server leaves it; PostgreSQL
with the generic plan that a prepared statement ends up with, and with one for its values, before and after ANALYZE).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import asyncpg
import pytest

from benchmarks.plans import Access, RecordingSession, postgresql_accesses, postgresql_plan, sqlite_accesses
from fhir_server.interactions.draft import prepare
from fhir_server.interactions.exchange import Request, Server
from fhir_server.interactions.router import dispatch
from fhir_server.model.identity import rid
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage import query as q
from fhir_server.storage.base import Store, Transaction
from fhir_server.storage.scope import ALL, Scope
from tests.storage import direct

PATIENTS, OBSERVATIONS = 300, 2_700


@dataclass
class Explained:
    """The plans of all statements of one search, each as its uses of large tables and its text."""

    accesses: list[Access] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


# A search by REST, or one that only the store has -> the index that drives it, and the columns that bound it there.
COMPARTMENT = q.InCompartment((rid("Patient", "p7"),))
SEARCHES: dict[str, tuple[str | tuple[Scope, q.Query], str, str]] = {
    "patient, code and date, newest first": (
        "Observation?patient=Patient/p7&code=http://loinc.org|c7&date=ge2010&_sort=-date", "number_search", "p v k"
    ),
    "patient and code": ("Observation?patient=Patient/p7&code=http://loinc.org|c7", "number_search", "p v"),
    "patient and any of some statuses": (
        "Observation?patient=Patient/p7&status=preliminary,final,amended", "number_search", "p v"
    ),
    "patient, oldest first": ("Observation?patient=p7&_sort=date", "number_search", "p v k"),
    "system and code": ("Observation?code=http://loinc.org|c3", "number_search", "p v"),
    "code alone": ("Observation?code=c3", "number_search", "p v"),
    "code, counted": ("Observation?code=c3&_total=accurate&_count=0", "number_search", "p v"),
    "two codes and date": ("Observation?code=c3,c4&date=ge2020", "number_search", "p v k"),
    "identifier": ("Observation?identifier=urn:lab|lab-5", "text_search", "p v"),
    "identifier without a system": ("Patient?identifier=mrn-5", "text_search", "p v"),
    "many identifiers": (
        "Observation?identifier=" + ",".join(f"urn:lab|lab-{n}" for n in range(100)), "text_search", "p v"
    ),
    "many ids": ("Observation?_id=" + ",".join(f"o{n}" for n in range(100)), "version_rid", "rid"),
    "many patients and a code": (
        "Observation?code=c3&patient=" + ",".join(f"p{n}" for n in range(100)), "number_search", "p v"
    ),
    "name prefix": ("Patient?name=family11", "text_search", "p v"),
    "family and birth date": ("Patient?family=family11&birthdate=1950", "number_search", "p v"),
    "few of a number": ("Observation?value-quantity=gt2690", "number_search", "p v"),
    "composite": ("Observation?code-value-quantity=http://loinc.org|c3$gt5", "composite_search", "p a b"),
    "last updated": ("Observation?_lastUpdated=ge2020-01-01", "version_type", "type seq"),
    "by last updated": ("Observation?_sort=-_lastUpdated", "version_type", "type"),
    "id": ("Observation?_id=o5,o6", "version_rid", "rid"),
    "id and code": ("Observation?code=c5&_id=o5", "version_rid", "rid"),
    "all of a type": ("Observation", "number_search", "p v"),
    "patient by value": ("Observation?patient=p7&_sort=value-quantity", "number_search", "p v"),
    "by family": ("Patient?_sort=family", "number_search", "p v"),
    "includes": (
        "Patient?_id=p7,p8&_include=Patient:organization&_revinclude=Observation:subject", "number_search", "p v"
    ),
    "includes by wildcards": ("Patient?_id=p7,p8&_include=*&_revinclude=*", "number_search", "p v"),
    "several types": ("?_type=Patient,Observation", "version_type", "type"),
    "several types by id": ("?_id=p7,o7", "version_rid", "rid"),
    "several types since": ("?_type=Patient,Observation&_lastUpdated=ge2020-01-01", "version_type", "type seq"),
    "a patient's compartment": ("Patient/p7/*", "number_search", "p v"),
    "compartment": ((ALL, q.Query("Observation", (COMPARTMENT,))), "number_search", "p v"),
    "within a scope": ((Scope("p7", (COMPARTMENT,)), q.Query("Observation")), "number_search", "p v"),
}  # fmt: skip


def resources() -> Iterator[tuple[str, dict[str, Any]]]:
    for n in range(PATIENTS):
        yield (
            f"p{n}",
            {
                "resourceType": "Patient",
                "name": [{"family": f"Family{n:03}", "given": [f"Given{n % 40}"]}],
                "birthDate": f"{1930 + n % 80}-0{n % 9 + 1}-11",
                "identifier": [{"system": "urn:mrn", "value": f"mrn-{n}"}],
            },
        )
    for n in range(OBSERVATIONS):
        yield (
            f"o{n}",
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": f"c{n % 9}"}]},
                "subject": {"reference": f"Patient/p{n % PATIENTS}"},
                "effectiveDateTime": f"20{n % 20 + 5:02}-{n % 12 + 1:02}-{n % 28 + 1:02}T08:00:00Z",
                "valueQuantity": {"value": n, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
                "identifier": [{"system": "urn:lab", "value": f"lab-{n}"}],
            },
        )


async def recorded(store: Any, settings: Settings, search: str | tuple[Scope, q.Query]) -> list[tuple[str, Any]]:
    """The statements of one search; it finds something."""
    session = store.session
    store.session = recording = RecordingSession(session)
    if isinstance(search, str):
        resource_type, _, parameters = search.partition("?")
        request = Request("GET", resource_type, parse_qsl(parameters), base_url="http://127.0.0.1/fhir")
        answer = await dispatch(Server(store, settings), request)
        assert answer.status == 200
    else:
        assert (await store.search(*search)).matches
    store.session = session
    return recording.statements


async def fill(store: Store) -> None:
    async def work(transaction: Transaction) -> None:
        for logical_id, resource in resources():
            await transaction.put(prepare(resource, logical_id, time_zone="UTC", fresh=True))

    await store.write(ALL, work)


async def explain_all(url: str) -> dict[str, Explained]:
    settings = Settings(database=url, content=False)
    store = await open_store(settings)
    await fill(store)
    statements = {name: await recorded(store, settings, search) for name, (search, _, _) in SEARCHES.items()}
    await store.close()
    explained = {name: Explained() for name in SEARCHES}
    if url.startswith(direct.SQLITE):
        for name, sent in statements.items():
            for sql, parameters in sent:
                lines = [row[-1] for row in await direct.rows(url, f"EXPLAIN QUERY PLAN {sql}", *parameters)]
                explained[name].accesses += walked(sql, sqlite_accesses(sql, lines))
                explained[name].texts.append("\n".join(lines))
        return explained
    connection = await asyncpg.connect(url)
    for analyse in (False, True):
        if analyse:
            await connection.execute("ANALYZE")
        for mode in ("force_generic_plan", "force_custom_plan"):
            await connection.execute(f"SET plan_cache_mode = {mode}")
            for name, sent in statements.items():
                for sql, parameters in sent:
                    plan = await postgresql_plan(connection, sql, parameters)
                    explained[name].accesses += walked(sql, postgresql_accesses(plan))
                    explained[name].texts.append(json.dumps(plan, indent=1))
    await connection.close()
    return explained


def walked(sql: str, accesses: Iterator[Access]) -> list[Access]:
    """Without the bounded counts of candidates to drive (storage/sql/driver.py), which may be ranges of any index."""
    return [access for access in accesses if not access.columns or "counted" not in sql]


@pytest.fixture(scope="module")
def explained(engine: str, new_database: Callable[[str], str]) -> dict[str, Explained]:
    return asyncio.run(explain_all(new_database(engine)))


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_walks_narrow_ranges_of_indexes(explained: dict[str, Explained], name: str) -> None:
    """The driving index is bounded by these columns, and all else is looked up by seq, or by the resource's rid."""
    _, index, columns = SEARCHES[name]
    plans = "\n\n".join(explained[name].texts)
    looked_up = [access for access in explained[name].accesses if access.columns & {"seq", "rid"}]
    driving = [access for access in explained[name].accesses if access.index == index]
    driving = [access for access in driving if access.columns >= set(columns.split())]
    assert driving, plans
    assert [access for access in explained[name].accesses if access not in looked_up + driving] == [], plans
