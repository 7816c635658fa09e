"""A search parameter is built by real server processes that write meanwhile, are killed, and go on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live_server import LiveServer, start_server
from tests.torture.writers import check_database

SLOW = ("--no-content", "--workers", "2", "--reindex-share", "0.05")
PATIENTS = 2000
EYES = ("blue", "brown", "green")
PARAMETER = {
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
}


def patient(n: int, eye: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": f"p{n}", "name": [{"suffix": [eye]}]}


def bundle(resources: list[dict[str, Any]]) -> dict[str, Any]:
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def job(server: LiveServer, number: int = 1) -> tuple[str, int]:
    """State and resources done."""
    answer = httpx.get(f"{server.base_url}/$reindex", timeout=30).json()
    parts = [{part["name"]: part for part in one["part"]} for one in answer["parameter"]]
    (found,) = (one for one in parts if one["number"]["valueInteger"] == number)
    return found["state"]["valueCode"], int(found["done"]["valueDecimal"])


async def update_until(server: LiveServer, stored: dict[int, str], done: asyncio.Event) -> None:
    """Update patients, remembering what was acknowledged."""
    async with httpx.AsyncClient(base_url=server.base_url, timeout=30) as client:
        n = 0
        while not done.is_set():
            n = (n + 37) % PATIENTS
            eye = EYES[(n + len(stored)) % 3]
            try:
                answer = await client.put(f"/Patient/p{n}", json=patient(n, eye))
            except httpx.TransportError:
                stored.pop(n)  # killed under way: nobody knows
                return
            if answer.status_code == 200:
                stored[n] = eye
            else:
                stored.pop(n)


def _once_known(url: str) -> httpx.Response:
    """The answer; a worker that has not heard yet of a parameter that is complete is asked again."""
    deadline = time.monotonic() + 5
    while True:
        answer = httpx.get(url, headers={"Prefer": "handling=strict"}, timeout=30)
        if answer.status_code != 400 or time.monotonic() > deadline:
            return answer


def found(server: LiveServer, eye: str) -> set[int]:
    url: str | None = f"{server.base_url}/Patient?eye={eye}&_count=1000"
    ids: set[int] = set()
    while url:
        page = _once_known(url).raise_for_status().json()
        ids |= {int(entry["resource"]["id"][1:]) for entry in page.get("entry", ())}
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return ids


async def reach(server: LiveServer, done: int) -> None:
    async with asyncio.timeout(60):
        while job(server)[0] != "completed" and job(server)[1] < done:
            await asyncio.sleep(0.05)


@pytest.mark.torture
async def test_killed_in_the_middle_it_goes_on_and_finds_exactly_what_is_stored(
    database_url: str, tmp_path: Path
) -> None:
    stored = {n: EYES[n % 3] for n in range(PATIENTS)}
    server = start_server(database_url, tmp_path, *SLOW)
    try:
        patients = [patient(n, eye) for n, eye in stored.items()]
        httpx.post(server.base_url, json=bundle(patients), timeout=60).raise_for_status()
        httpx.put(f"{server.base_url}/SearchParameter/eye", json=PARAMETER, timeout=30).raise_for_status()
        assert (
            httpx.get(f"{server.base_url}/Patient?eye=blue", headers={"Prefer": "handling=strict"}).status_code == 400
        )
        done = asyncio.Event()
        writer = asyncio.create_task(update_until(server, stored, done))
        await reach(server, 100)
        assert job(server)[0] == "running"
        server.kill()
        await writer
        assert 0 < len(stored) < PATIENTS

        server = start_server(database_url, tmp_path, "--no-content", "--workers", "2")
        writer = asyncio.create_task(update_until(server, stored, done))
        await reach(server, 2 * PATIENTS)
        done.set()
        await writer
        assert job(server)[0] == "completed"
        async with asyncio.timeout(5):  # every worker learns it within a second
            while any(
                httpx.get(f"{server.base_url}/Patient?eye=x", headers={"Prefer": "handling=strict"}).status_code != 200
                for _ in range(10)
            ):
                await asyncio.sleep(0.1)
        for eye in EYES:
            assert found(server, eye) & stored.keys() == {n for n, value in stored.items() if value == eye}
        assert server.stop() == 0
    finally:
        server.kill()
    check_database(database_url)


def test_the_command_runs_what_no_server_runs(database_url: str, tmp_path: Path) -> None:
    server = start_server(database_url, tmp_path, *SLOW)
    try:
        patients = [patient(n, EYES[n % 3]) for n in range(600)]
        httpx.post(server.base_url, json=bundle(patients), timeout=60).raise_for_status()
        httpx.put(f"{server.base_url}/SearchParameter/eye", json=PARAMETER, timeout=30).raise_for_status()
        assert server.stop() == 0  # a job that was under way is released
        command = [sys.executable, "-m", "fhir_server.cli.main", "reindex", "--database", database_url]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert ran.stdout == "Job 1 (build): completed, 600 resources\n"
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert ran.stdout == "Nothing to do: every search parameter is built.\n"
        server = start_server(database_url, tmp_path, "--no-content")
        assert found(server, "blue") == set(range(0, 600, 3))
        assert server.stop() == 0
    finally:
        server.kill()
