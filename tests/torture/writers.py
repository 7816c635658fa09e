"""Concurrent writers that remember what the server acknowledged, and what to expect of the rest."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

SYSTEM = "https://fhir.example.org/torture"
OBSERVATIONS = 4
"""Per transaction, beside the Patient they are about."""
TIMEOUT = httpx.Timeout(30)


@dataclass
class Written:
    """What writers did. Tags name transactions; keys are Type/id."""

    acknowledged: dict[str, list[str]] = field(default_factory=dict)
    """tag -> keys of the resources the server said it had stored."""
    attempted: set[str] = field(default_factory=set)
    refusals: list[httpx.Response] = field(default_factory=list)
    """Answers other than 200."""


def transaction(tag: str) -> dict[str, Any]:
    """A Patient and OBSERVATIONS Observations about it, all found again by the tag."""
    patient = f"urn:uuid:{uuid4()}"
    resources: list[tuple[str, dict[str, Any]]] = [(patient, {"resourceType": "Patient"})]
    resources += [
        (
            f"urn:uuid:{uuid4()}",
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {"text": "torture"},
                "subject": {"reference": patient},
                "valueInteger": number,
            },
        )
        for number in range(OBSERVATIONS)
    ]
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": url,
                "resource": {**resource, "identifier": [{"system": SYSTEM, "value": tag}]},
                "request": {"method": "POST", "url": resource["resourceType"]},
            }
            for url, resource in resources
        ],
    }


async def write_until(
    base_url: str,
    written: Written,
    stop: Callable[[], bool],
    *,
    writers: int = 16,
    meanwhile: Awaitable[None] | None = None,
) -> None:
    """Let `writers` send transactions until `stop()`; `meanwhile` runs beside them and is waited for."""
    limits = httpx.Limits(max_connections=writers)
    async with httpx.AsyncClient(timeout=TIMEOUT, limits=limits) as client, asyncio.TaskGroup() as group:
        if meanwhile is not None:
            group.create_task(_as_coroutine(meanwhile))
        for _ in range(writers):
            group.create_task(_write(client, base_url, written, stop))


async def _as_coroutine(awaitable: Awaitable[None]) -> None:
    await awaitable


async def _write(client: httpx.AsyncClient, base_url: str, written: Written, stop: Callable[[], bool]) -> None:
    while not stop():
        tag = uuid4().hex
        written.attempted.add(tag)
        try:
            answer = await client.post(base_url, json=transaction(tag))
        except httpx.TransportError:
            await asyncio.sleep(0)
            continue
        if answer.status_code == 200:
            entries = answer.json()["entry"]
            written.acknowledged[tag] = [key_of(entry["response"]["location"]) for entry in entries]
        else:
            written.refusals.append(answer)


def key_of(location: str) -> str:
    """Type/id of a Location `[base/]Type/id/_history/version`."""
    return "/".join(location.partition("/_history/")[0].split("/")[-2:])


def missing(base_url: str, written: Written) -> list[str]:
    """Acknowledged resources that cannot be read back as they were sent."""
    lost = []
    with httpx.Client(timeout=TIMEOUT) as client:
        for tag, keys in written.acknowledged.items():
            for key in keys:
                answer = client.get(f"{base_url}/{key}")
                if answer.status_code != 200 or answer.json()["identifier"][0]["value"] != tag:
                    lost.append(f"{key}: {answer.status_code}")
    return lost


def halves(base_url: str, written: Written) -> list[str]:
    """Transactions without an answer of which only a part is there."""
    torn = []
    with httpx.Client(timeout=TIMEOUT) as client:
        for tag in written.attempted - written.acknowledged.keys():
            criteria = {"identifier": f"{SYSTEM}|{tag}", "_count": "100"}
            found = [
                len(client.get(f"{base_url}/{resource_type}", params=criteria).json().get("entry", []))
                for resource_type in ("Patient", "Observation")
            ]
            if found not in ([0, 0], [1, OBSERVATIONS]):
                torn.append(f"{tag}: {found}")
    return torn


def check_database(url: str) -> str:
    """What `fhir-server check` says of a database; raises unless it is clean."""
    command = [sys.executable, "-m", "fhir_server.cli.main", "check", "--database", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"check found faults:\n{done.stdout}{done.stderr}"
    return done.stdout
