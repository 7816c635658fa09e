"""Every way of writing sets off the reactions to it, once, in its own transaction."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from typing import Any

import pytest

from fhir_server.errors import BusinessRule, Issue
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.logical_id import new_id
from fhir_server.reactions.registry import Reaction, ReactionRegistry, Write

Json = dict[str, Any]
pytestmark = pytest.mark.asyncio(loop_scope="module")
PREFER = {"prefer": "return=OperationOutcome"}
REPLACE = [{"op": "replace", "path": "/gender", "value": "other"}]
FHIRPATH_PATCH: Json = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "replace"},
                {"name": "path", "valueString": "Patient.gender"},
                {"name": "value", "valueCode": "other"},
            ],
        }
    ],
}


def _patient(name: str, **more: Any) -> Json:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": name}], "gender": "female", **more}


def _bundle(kind: str, method: str, url: str, resource: Json | None = None, **request: str) -> Json:
    entry: Json = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        entry["resource"] = resource
    return {"resourceType": "Bundle", "type": kind, "entry": [entry]}


def _binary(operations: list[Json]) -> Json:
    data = b64encode(json.dumps(operations).encode()).decode()
    return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}


WAYS = {
    "create": lambda n: ("POST", "Patient", _patient(n), {}),
    "conditional create": lambda n: ("POST", "Patient", _patient(n), {"if-none-exist": f"identifier=urn:x|new-{n}"}),
    "update": lambda n: ("PUT", f"Patient/{n}", _patient(n, id=n, gender="male"), {}),
    "update as create": lambda n: ("PUT", f"Patient/new-{n}", _patient(n, id=f"new-{n}"), {}),
    "conditional update": lambda n: ("PUT", f"Patient?identifier=urn:x|{n}", _patient(n, gender="male"), {}),
    "JSON Patch": lambda n: ("PATCH", f"Patient/{n}", REPLACE, {"content-type": "application/json-patch+json"}),
    "conditional patch": lambda n: (
        "PATCH",
        f"Patient?identifier=urn:x|{n}",
        REPLACE,
        {"content-type": "application/json-patch+json"},
    ),
    "FHIRPath Patch": lambda n: ("PATCH", f"Patient/{n}", FHIRPATH_PATCH, {"content-type": "application/fhir+json"}),
    "transaction POST": lambda n: ("POST", "", _bundle("transaction", "POST", "Patient", _patient(n)), {}),
    "transaction PUT": lambda n: (
        "POST",
        "",
        _bundle("transaction", "PUT", f"Patient/{n}", _patient(n, id=n, gender="male")),
        {},
    ),
    "transaction PATCH": lambda n: ("POST", "", _bundle("transaction", "PATCH", f"Patient/{n}", _binary(REPLACE)), {}),
    "batch POST": lambda n: ("POST", "", _bundle("batch", "POST", "Patient", _patient(n)), {}),
}


class _Seen:
    """A reaction that stores nothing and remembers what it saw."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.refuse = False

    async def react(self, write: Write) -> list[Issue]:
        earlier = await write.before()
        assert (earlier is None) == (write.version.version_id == 1)
        self.seen.append((write.version.logical_id, write.version.version_id))
        if self.refuse:
            raise BusinessRule("Not like this.", expression="Patient.gender")
        return [Issue("informational", "seen", None, "warning")]

    def served(self) -> ReactionRegistry:
        return ReactionRegistry([Reaction(frozenset({"Patient"}), self.react)])


@pytest.fixture
def seen(client: Any) -> Any:
    reaction = _Seen()
    client.server.reactions = reaction.served()
    yield reaction
    client.server.reactions = None


@pytest.mark.parametrize("way", WAYS)
async def test_each_way_of_writing_reacts_once_and_says_so(client: Any, seen: _Seen, name: str, way: str) -> None:
    await _prepare(client, name)
    seen.seen.clear()
    method, url, body, headers = WAYS[way](name)
    answer = await client.send(method, url, body, **{**PREFER, **headers})
    assert answer.status in (200, 201)
    assert len(seen.seen) == 1
    outcome = answer.resource
    if outcome["resourceType"] == "Bundle":
        outcome = outcome["entry"][0]["response"]["outcome"]
    assert [issue["diagnostics"] for issue in outcome["issue"]].count("seen") == 1


@pytest.mark.parametrize("way", WAYS)
async def test_a_reaction_that_refuses_leaves_nothing(client: Any, seen: _Seen, name: str, way: str) -> None:
    await _prepare(client, name)
    before = await client.send("GET", f"Patient?identifier=urn:x|{name}&_elements=gender")
    seen.refuse = True
    method, url, body, headers = WAYS[way](name)
    answer = await client.send(method, url, body, **headers)
    refused = answer.resource
    status = answer.status
    if refused["resourceType"] == "Bundle":
        status = int(refused["entry"][0]["response"]["status"][:3])
        refused = refused["entry"][0]["response"]["outcome"]
    assert status == 422
    assert refused["issue"][0]["code"] == "business-rule"
    after = await client.send("GET", f"Patient?identifier=urn:x|{name}&_elements=gender")
    assert [e["resource"] for e in after.resource["entry"]] == [e["resource"] for e in before.resource["entry"]]


async def test_a_write_that_changes_nothing_sets_nothing_off(client: Any, seen: _Seen, name: str) -> None:
    await _prepare(client, name)
    seen.seen.clear()
    await client.send("PUT", f"Patient/{name}", _patient(name, id=name))
    assert seen.seen == []


async def test_other_types_and_deletions_set_nothing_off(client: Any, seen: _Seen, name: str) -> None:
    await _prepare(client, name)
    seen.seen.clear()
    await client.send("POST", "Basic", {"resourceType": "Basic", "code": {"text": name}})
    await client.send("DELETE", f"Patient/{name}")
    assert seen.seen == []


async def test_in_a_transaction_the_reactions_come_once_all_is_written(client: Any, name: str) -> None:
    found: list[bool] = []

    async def look(write: Write) -> list[Issue]:
        found.append(await write.transaction.current("Basic", f"b-{name}") is not None)
        return []

    client.server.reactions = ReactionRegistry([Reaction(frozenset({"Patient"}), look)])
    try:
        basic = {"resourceType": "Basic", "id": f"b-{name}", "code": {"text": name}}
        sent: Json = {"resourceType": "Bundle", "type": "transaction", "entry": []}
        for url, resource in ((f"Patient/{name}", _patient(name, id=name)), (f"Basic/b-{name}", basic)):
            sent["entry"].append({"resource": resource, "request": {"method": "PUT", "url": url}})
        assert (await client.send("POST", "", sent)).status == 200
    finally:
        client.server.reactions = None
    assert found == [True]


async def test_a_work_that_is_run_again_has_reacted_once(client: Any, name: str, monkeypatch: Any) -> None:
    """When the database refuses a group of works, each is run again by itself: what a reaction stored is there once."""
    runs: list[str] = []

    async def keep(write: Write) -> list[Issue]:
        runs.append(write.version.logical_id)
        kept = {"resourceType": "Basic", "code": {"text": f"seen {write.version.logical_id}"}}
        await write.transaction.put(prepare_for(write.server, kept, new_id(), fresh=True))
        return []

    client.server.reactions = ReactionRegistry([Reaction(frozenset({"Patient"}), keep)])
    engine = client.server.store.writer._engine
    commit, refused = engine.commit, []

    async def refuse_once(transaction: Any) -> None:
        if not refused:
            refused.append(True)
            raise RuntimeError("refused by the test")
        await commit(transaction)

    monkeypatch.setattr(engine, "commit", refuse_once)
    try:
        sent = [client.send("PUT", f"Patient/{name}-{n}", _patient(name, id=f"{name}-{n}")) for n in range(2)]
        assert [answer.status for answer in await asyncio.gather(*sent)] == [201, 201]
    finally:
        client.server.reactions = None
    assert refused
    assert len(runs) == 4
    for n in range(2):
        found = await client.send("GET", f"Basic?code:text=seen {name}-{n}")
        assert len(found.resource.get("entry", [])) == 1


async def _prepare(client: Any, name: str) -> None:
    assert (await client.send("PUT", f"Patient/{name}", _patient(name, id=name))).status in (200, 201)
