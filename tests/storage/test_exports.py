"""What an export reads of a store (storage/export.py), on each engine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fhir_server.errors import ResourceGone
from fhir_server.interactions.exchange import Request, Server
from fhir_server.interactions.router import dispatch
from fhir_server.model.identity import rid
from fhir_server.storage.export import Extent


async def put(server: Server, **resource: Any) -> None:
    path = f"{resource['resourceType']}/{resource['id']}"
    request = Request(
        "PUT", path, headers={"content-type": "application/fhir+json"}, body=json.dumps(resource).encode()
    )
    await dispatch(server, request)


async def test_a_page_is_of_its_moment(server: Server) -> None:
    """What was replaced later is in it, also when the index of it has been cleared; whose it was is no longer said."""
    exports = server.store.exports
    await put(server, resourceType="Patient", id="p", gender="male")
    await put(server, resourceType="Patient", id="q")
    then = await exports.now()
    await put(server, resourceType="Patient", id="p", gender="female")
    await server.store.vacuum(-1)
    extent = Extent("Patient", then.seq, 0, then.seq)
    rows = await exports.page(extent, 0, 10)
    found = [(json.loads(bytes(body))["id"], json.loads(bytes(body)).get("gender")) for _, body in rows]
    assert found == [("p", "male"), ("q", None)]
    assert [json.loads(bytes(body))["id"] for _, body in await exports.page(extent, rows[0][0], 10)] == ["q"]
    seqs = [seq for seq, _ in rows]
    with pytest.raises(ResourceGone):
        await exports.owners(seqs, then.seq)
    now = await exports.now()
    assert await exports.owners(seqs[1:], now.seq) == {seqs[1]: [rid("Patient", "q")]}
    assert await exports.seq_at(then.last_updated) == then.seq
    assert await exports.seq_at(then.last_updated - 1) < then.seq
