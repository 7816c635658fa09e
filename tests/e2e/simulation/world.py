"""A real server whose clock is moved, the jobs that run on it, and what is counted of the requests to it."""

from __future__ import annotations

import asyncio
import io
import os
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from fhir_server.cli.main import main
from fhir_server.interactions.current_registry import refresh
from fhir_server.interactions.exchange import Server
from fhir_server.operations.workflow_check import workflow_violations
from fhir_server.pathways.invariants.record import Moment, Violation
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from tests.live_server import LiveServer, start_server

Json = dict[str, Any]
ZONE = ZoneInfo("Europe/London")
SERVICES = ("orthopaedics", "therapy", "rheumatology", "pain")
BASE = "https://fhir.example.org/msk"


class World:
    """One server on one database; `today` is what its clock says."""

    def __init__(self, database: str, directory: Path, today: date) -> None:
        self._database = database
        self._directory = directory
        self._clock = directory / "clock"
        self._server: LiveServer | None = None
        self._client: httpx.Client | None = None
        self.tally: Counter[str] = Counter()
        self.set_clock(today)

    def set_clock(self, today: date, hour: int = 9) -> None:
        self.today = today
        self.now = datetime.combine(today, time(hour), ZONE)
        following = self._clock.with_suffix(".next")
        following.write_text(self.now.isoformat())
        os.replace(following, self._clock)

    def start(self) -> None:
        self._server = start_server(self._database, self._directory, "--clock", str(self._clock), "--no-access-log")
        self._client = httpx.Client(base_url=f"{self._server.base_url}/", timeout=120)

    def stop(self) -> None:
        if self._client is not None:
            self._client.close()
        if self._server is not None:
            self._server.stop()

    def restart(self) -> None:
        self.stop()
        self.start()

    def request(
        self, method: str, path: str, body: Any = None, *, expect: tuple[int, ...] = (200, 201), **headers: str
    ) -> httpx.Response:
        """An answer with a status of `expect`; every other one is a fault."""
        assert self._client is not None
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self._client.request(method, path, json=body, headers=sent)
        self.tally[str(answer.status_code)] += 1
        told = f"{self.today}: {method} {path} {str(body)[:1500]} {headers}\n{answer.status_code} {answer.text[:3000]}"
        assert answer.status_code in expect, told
        if answer.status_code >= 400:
            assert answer.json()["resourceType"] == "OperationOutcome", told
        return answer

    def read(self, path: str) -> Json:
        found: Json = self.request("GET", path).json()
        return found

    def search(self, resource_type: str, **criteria: str) -> list[Json]:
        named = {name.replace("__", ":"): value for name, value in criteria.items()}
        path = f"{resource_type}?{httpx.QueryParams({'_count': '500', **named})}"
        found: list[Json] = []
        while path:
            page: Json = self.request("GET", path).json()
            entries = page.get("entry", [])
            found += [entry["resource"] for entry in entries if entry.get("search", {}).get("mode") == "match"]
            path = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
        return found

    def batch(self, *searches: str) -> list[list[Json]]:
        """What each search finds, all in one request."""
        entries = [{"request": {"method": "GET", "url": f"{one}&_count=500"}} for one in searches]
        answered = self.request("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": entries}).json()
        return [[one["resource"] for one in entry["resource"].get("entry", [])] for entry in answered["entry"]]

    def call(self, path: str, *given: Json, expect: tuple[int, ...] = (200, 201), **headers: str) -> httpx.Response:
        """An operation with its parameters."""
        body = {"resourceType": "Parameters", **({"parameter": list(given)} if given else {})}
        return self.request("POST", path, body, expect=expect, **headers)

    def directory(self) -> None:
        """Who refers, and who treats."""
        practice = {"resourceType": "Organization", "id": "practice", "name": "A practice"}
        self.request("PUT", "Organization/practice", practice)
        for name in SERVICES:
            service = {"resourceType": "HealthcareService", "id": name, "active": True, "name": name}
            self.request("PUT", f"HealthcareService/{name}", service)

        schedule = {"resourceType": "Schedule", "id": "clinic", "actor": [{"reference": "HealthcareService/therapy"}]}
        self.request("PUT", "Schedule/clinic", schedule)

    def open_slots(self, number: int, ahead: int = 14) -> None:
        """Free slots of one clinic, two weeks from now."""
        for index in range(number):
            start = datetime.combine(self.today + timedelta(days=ahead), time(9 + index), ZONE)
            slot = {
                "resourceType": "Slot",
                "schedule": {"reference": "Schedule/clinic"},
                "status": "free",
                "start": start.isoformat(),
                "end": (start + timedelta(minutes=30)).isoformat(),
            }
            self.request("POST", "Slot", slot)

    def run_jobs(self) -> None:
        self._command("jobs", "run", "--clock", str(self._clock))

    def violations(self) -> list[Violation]:
        """Everything in the workflow that cannot be, the jobs having run today."""

        async def look() -> list[Violation]:
            settings = Settings(database=self._database)
            store = await open_store(settings, writing=False)
            try:
                server = Server(store, settings)
                await refresh(server)
                return [one async for one in workflow_violations(server, Moment(self.today, self.today))]
            finally:
                await store.close()

        return asyncio.run(look())

    def findings(self) -> str:
        """What `fhir-server check` finds; empty when everything agrees."""
        done = self._command("check", "--clock", str(self._clock), expect=(0, 1))
        return "" if done == "Everything agrees.\n" else done

    def _command(self, *arguments: str, expect: tuple[int, ...] = (0,)) -> str:
        """The command line in this process, which saves starting one."""
        printed, told = io.StringIO(), io.StringIO()
        with redirect_stdout(printed), redirect_stderr(told):
            status = main([*arguments, "--database", self._database])
        assert status in expect, f"{arguments}: {status}\n{printed.getvalue()[-3000:]}\n{told.getvalue()[-3000:]}"
        return printed.getvalue()
