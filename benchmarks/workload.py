"""The requests that are measured, made from the same synthetic resources that were loaded before."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import orjson

from benchmarks.client import http_request
from fhir_server.synthetic import generate

SEED = 1
PAGE = 20
BUNDLE_ENTRIES = 80
DISTINCT_REQUESTS = 2000


@dataclass
class Workload:
    """What is known of the loaded resources, enough to ask for them."""

    file: Path
    resources: int
    bytes: int
    keys: list[str]
    """Type/id of every resource."""
    searches: list[tuple[str, str, str]]
    """(patient id, system, code) with at least PAGE Observations."""


def write_workload(file: Path, resources: int) -> Workload:
    """Write `resources` synthetic resources as NDJSON and remember what can be asked about them."""
    keys: list[str] = []
    observed: Counter[tuple[str, str, str]] = Counter()
    size = 0
    with file.open("wb") as output:
        for resource in generate(SEED, resources=resources):
            line = orjson.dumps(resource)
            size += len(line)
            output.write(line + b"\n")
            keys.append(f"{resource['resourceType']}/{resource['id']}")
            if resource["resourceType"] == "Observation":
                coding = resource["code"]["coding"][0]
                observed[
                    (resource["subject"]["reference"].removeprefix("Patient/"), coding["system"], coding["code"])
                ] += 1
    searches = [key for key, count in observed.items() if count >= PAGE]
    return Workload(file, resources, size, keys, searches)


def reads(workload: Workload) -> list[bytes]:
    keys = Random(2).choices(workload.keys, k=DISTINCT_REQUESTS)
    return [http_request("GET", f"/fhir/{key}") for key in keys]


def search_targets(workload: Workload) -> list[str]:
    chosen = Random(3).choices(workload.searches, k=DISTINCT_REQUESTS)
    return [
        f"/fhir/Observation?patient={patient}&code={quote(f'{system}|{code}', safe='')}"
        f"&date=ge2014-01-01&_sort=-date&_count={PAGE}"
        for patient, system, code in chosen
    ]


def plan_targets(workload: Workload) -> list[str]:
    """One search of each main kind."""
    patient = workload.searches[0][0]
    return [
        search_targets(workload)[0],
        f"/fhir/Observation?patient={patient}",
        "/fhir/Observation?code=http%3A%2F%2Floinc.org%7C718-7&_count=20",
        "/fhir/Observation?date=ge2024-01-01&date=lt2024-02-01&_sort=date",
        "/fhir/Patient?name=nu",
        f"/fhir/Patient?identifier={quote('https://fhir.nhs.uk/Id/nhs-number|9990000018', safe='')}",
        "/fhir/Task?status=requested&_sort=-_lastUpdated",
        "/fhir/Observation?value-quantity=gt50&code=http%3A%2F%2Floinc.org%7C1988-5",
    ]


def searches(workload: Workload) -> list[bytes]:
    return [http_request("GET", target) for target in search_targets(workload)]


def creates(workload: Workload) -> list[bytes]:
    """POSTs of Observations about patients that are there."""
    patients = [key for key in workload.keys if key.startswith("Patient/")]
    random = Random(4)
    made = []
    for resource in generate(SEED + 1, resources=DISTINCT_REQUESTS * 3):
        if resource["resourceType"] == "Observation" and resource["category"][0]["coding"][0]["code"] == "laboratory":
            observation = {key: value for key, value in resource.items() if key not in ("id", "basedOn", "performer")}
            observation["subject"] = {"reference": random.choice(patients)}
            made.append(http_request("POST", "/fhir/Observation", orjson.dumps(observation)))
    return made[:DISTINCT_REQUESTS]


def transactions(count: int = 100) -> list[bytes]:
    """Transaction Bundles of BUNDLE_ENTRIES new resources that refer to each other by urn:uuid."""
    resources = list(generate(SEED + 2, resources=count * BUNDLE_ENTRIES))
    return [
        http_request("POST", "/fhir", orjson.dumps(transaction(resources[start : start + BUNDLE_ENTRIES])))
        for start in range(0, len(resources), BUNDLE_ENTRIES)
    ]


def transaction(resources: list[dict[str, Any]]) -> dict[str, Any]:
    """The resources as a transaction Bundle of POSTs, their mutual references as urn:uuid."""
    numbers: dict[str, str] = defaultdict(lambda: f"urn:uuid:00000000-0000-4000-8000-{len(numbers):012x}")
    for resource in resources:
        _ = numbers[f"{resource['resourceType']}/{resource['id']}"]
    known = dict(numbers)
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": known[f"{resource['resourceType']}/{resource['id']}"],
                "resource": _rewritten({k: v for k, v in resource.items() if k != "id"}, known),
                "request": {"method": "POST", "url": resource["resourceType"]},
            }
            for resource in resources
        ],
    }


def _rewritten(value: Any, known: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: known.get(member, member)
            if key == "reference" and isinstance(member, str)
            else _rewritten(member, known)
            for key, member in value.items()
        }
    if isinstance(value, list):
        return [_rewritten(member, known) for member in value]
    return value
