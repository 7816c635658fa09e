"""A store of each engine with the same random resources, and the oracle over what each of them returned."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from fhir_server.interactions.exchange import Server
from fhir_server.model.json import encode
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.base import Store
from tests.interactions.conftest import Client
from tests.oracle.expressions import Json
from tests.oracle.population import BASE_URL, GONE, TYPES, Maker, population
from tests.oracle.world import World

TIME_ZONE = "Europe/London"
PIECE = 40
"""Resources written by one batch: enough batches that lastUpdated differs."""


@dataclass
class Filled:
    """An engine with the resources, and the oracle that knows them."""

    engine: str
    store: Store
    client: Client
    world: World


async def filled(engine: str, url: str, seed: int, size: int) -> Filled:
    """A store of `engine` with the population of `seed`, some of it updated or deleted since it was created."""
    settings = Settings(database=url, content=False, time_zone=TIME_ZONE, max_count=1000)
    store = await open_store(settings)
    client = Client(Server(store, settings))
    random = Random(seed)
    final = population(random, size)
    earlier = [Maker(random, one["resourceType"]).resource(one["id"]) for one in random.sample(final, len(final) // 4)]
    gone = [Maker(random, resource_type).resource(GONE) for resource_type in TYPES]
    await _batch(client, [_put(one) for one in [*earlier, *gone]])
    await _batch(client, [_entry("DELETE", f"{resource_type}/{GONE}") for resource_type in TYPES])
    await _batch(client, [_put(one) for one in final])
    stored: list[Json] = []
    for resource_type in TYPES:
        answer = await client.get(f"{resource_type}?_count=1000")
        # Decimals as written: their precision is searched.
        stored += [entry["resource"] for entry in json.loads(answer.body, parse_float=Decimal)["entry"]]
    assert len(stored) == len(final)
    return Filled(engine, store, client, World(stored, BASE_URL, TIME_ZONE))


def _put(resource: Json) -> Json:
    return _entry("PUT", f"{resource['resourceType']}/{resource['id']}", resource)


def _entry(method: str, url: str, resource: Json | None = None) -> Json:
    return {"request": {"method": method, "url": url}} | ({"resource": resource} if resource else {})


async def _batch(client: Client, entries: list[Json]) -> None:
    for start in range(0, len(entries), PIECE):
        sent = {"resourceType": "Bundle", "type": "batch", "entry": entries[start : start + PIECE]}
        answer = await client.post("", encode(sent))
        for entry, request in zip(answer.entries, sent["entry"], strict=True):
            status = entry["response"]["status"]
            assert status[:3] in ("200", "201", "204"), f"{entry['response'].get('outcome')} {request}"
