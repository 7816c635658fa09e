"""Exports with `_since` the transactionTime of the one before, while others write (Bulk Data Access, export.html).

What they give, laid one over the other, is what is stored: nothing is lost, and nothing comes that was there already.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_server.bulk.export import exporter as exporting
from fhir_server.bulk.export.exporter import Exporter
from fhir_server.bulk.export.people import people_of
from fhir_server.errors import ResourceGone, ResourceNotFound
from fhir_server.interactions.exchange import Request, Server
from fhir_server.interactions.router import dispatch
from fhir_server.model.instant import format_instant
from fhir_server.operations.export import plan_of
from fhir_server.operations.export_plan import Place
from fhir_server.operations.request import OperationRequest

TYPES = ("Device", "Patient")
NAMES = 5
"""So few that writers meet."""
Write = tuple[str, int, str]
"""Type, number of the resource, and what is done."""


class Lines:
    """A file in memory."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, content: bytes) -> None:
        self.content += content

    def keep(self) -> None:
        """It is."""

    def close(self) -> None:
        """Nothing is open."""


async def export(server: Server, since: str | None) -> tuple[str, list[Any], list[str]]:
    """Its transactionTime, the resources, and `Type/id` of what was deleted."""
    parameters: dict[str, list[Any]] = {"_type": [",".join(TYPES)]}
    if since is not None:
        parameters["_since"] = [since]
    call = OperationRequest(server, Request("GET", "$export"), "system", None, None, None, parameters)
    plan = await plan_of(call)
    files: dict[str, Lines] = {}

    def open_(name: str, length: int) -> Lines:
        file = files.setdefault(name, Lines())
        file.content = file.content[:length]
        return file

    exporter = Exporter(server, plan, await people_of(server, plan, server.clock.today()), open_)
    place = Place()
    while place.number < plan.parts:
        # A step of no time is one page, or none: others write between.
        place = (await exporter.step(place, 0.001)).place
    lines = {name: [json.loads(line) for line in file.content.splitlines()] for name, file in files.items()}
    given_ = [one for name, found in lines.items() if not name.startswith("deleted.") for one in found]
    deleted = [
        one["entry"][0]["request"]["url"]
        for name, found in lines.items()
        if name.startswith("deleted.")
        for one in found
    ]
    return format_instant(plan.time).decode(), given_, deleted


async def write(server: Server, prefix: str, writes: Sequence[Write]) -> None:
    for number, (kind, name, method) in enumerate(writes):
        path = f"{kind}/{prefix}{name}"
        body = {"resourceType": kind, "id": f"{prefix}{name}", "identifier": [{"value": f"{number}"}]}
        headers = {"content-type": "application/fhir+json"}
        with suppress(ResourceNotFound, ResourceGone):
            await dispatch(server, Request(method, path, headers=headers, body=json.dumps(body).encode()))
        await asyncio.sleep(0)


_writes = st.lists(
    st.tuples(st.sampled_from(TYPES), st.integers(1, NAMES), st.sampled_from(["PUT", "PUT", "DELETE"])), max_size=25
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writers=st.lists(_writes, min_size=1, max_size=3), rounds=st.integers(1, 4))
async def test_chains_lose_nothing_and_give_nothing_twice(
    server: Server, monkeypatch: pytest.MonkeyPatch, writers: list[list[Write]], rounds: int
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 3)
    prefix = f"x{(await server.store.exports.now()).seq}-"
    since, _, _ = await export(server, None)
    known: dict[str, Any] = {}
    versions: set[tuple[str, str, str]] = set()

    async def chain(times: int) -> None:
        nonlocal since
        for _ in range(times):
            since, found, deleted = await export(server, since)
            for one in found:
                version = (one["resourceType"], one["id"], one["meta"]["versionId"])
                assert version not in versions
                versions.add(version)
            known.update({f"{one['resourceType']}/{one['id']}": one for one in found})
            for name in deleted:
                assert name not in {f"{one['resourceType']}/{one['id']}" for one in found}
                known.pop(name, None)

    await asyncio.gather(chain(rounds), *(write(server, prefix, one) for one in writers))
    await chain(1)
    stored: dict[str, Any] = {}
    for kind in TYPES:
        answer = await dispatch(server, Request("GET", kind, query=[("_count", "1000")]))
        assert isinstance(answer.body, bytes)
        for entry in json.loads(answer.body).get("entry", []):
            one = entry["resource"]
            if one["id"].startswith(prefix):
                stored[f"{kind}/{one['id']}"] = one
    assert known == stored
