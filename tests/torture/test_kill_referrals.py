"""kill -9 while referrals are moved: each is there whole, its three resources in one state, every move explained."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live_server import start_server
from tests.operations.referrals import BASE, Referrals, extension

Json = dict[str, Any]
WAY = ("start-triage", "accept", "book", "attended", "discharge")
STATUS = {
    "submitted": ("active", "requested", "planned"),
    "in-triage": ("active", "in-progress", "planned"),
    "accepted": ("active", "completed", "active"),
    "booked": ("active", "completed", "active"),
    "attended": ("active", "completed", "active"),
    "discharged": ("completed", "completed", "finished"),
}


class Answered(list[Json]):
    """The ServiceRequests that were answered; `reached` is set once there are `enough`."""

    def __init__(self) -> None:
        super().__init__()
        self.enough = 0
        self.reached = threading.Event()

    def expect(self, more: int) -> None:
        self.reached.clear()
        self.enough = len(self) + more

    def add(self, answer: httpx.Response) -> Json:
        assert answer.is_success, answer.text
        request: Json = answer.json()["entry"][0]["resource"]
        self.append(request)
        if len(self) >= self.enough:
            self.reached.set()
        return request


def _work(base_url: str, answered: Answered) -> None:
    """Referrals one after the other, moved to their end, until the server is gone."""
    with httpx.Client(base_url=f"{base_url}/", timeout=30) as http:
        try:
            referrals = Referrals(http)
            while True:
                sent = {"name": "referral", "resource": referrals.draft()}
                body = {"resourceType": "Parameters", "parameter": [sent]}
                request = answered.add(http.post("ServiceRequest/$submit", json=body))
                for move in WAY:
                    request = answered.add(referrals.move(request, move))
        except httpx.TransportError:
            return


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.torture)])
def test_no_move_is_there_by_halves_after_kill_9(database_url: str, tmp_path: Path, rounds: int) -> None:
    answered = Answered()
    server = start_server(database_url, tmp_path)
    try:
        for number in range(rounds):
            answered.expect(30 + 7 * number)
            with ThreadPoolExecutor(4) as pool:
                works = [pool.submit(_work, server.base_url, answered) for _ in range(4)]
                assert answered.reached.wait(120)
                server.kill()
            assert [work.result() for work in works] == [None] * 4
            server = start_server(database_url, tmp_path)
        _check(server.base_url, answered)
        assert server.stop() == 0
    finally:
        server.kill()
    assert len(answered) >= 30 * rounds


def _check(base_url: str, answered: list[Json]) -> None:
    with httpx.Client(base_url=f"{base_url}/", timeout=30) as http:
        referrals = Referrals(http)
        newest = {request["id"]: request for request in answered}
        for request in newest.values():
            now, task, episode = referrals.whole(request)
            assert int(now["meta"]["versionId"]) >= int(request["meta"]["versionId"])
            assert task is not None
            assert episode is not None
            state = task["businessStatus"]["coding"][0]["code"]
            assert extension(now, "msk-referral-state")["valueCode"] == state
            assert (now["status"], task["status"], episode["status"]) == STATUS[state]
            target = f"ServiceRequest/{now['id']}/_history/{now['meta']['versionId']}"
            why = http.get("Provenance", params={"target": f"ServiceRequest/{now['id']}"}).json()["entry"]
            assert target in {one["reference"] for entry in why for one in entry["resource"]["target"]}
            events = [one for one in episode["extension"] if one["url"] == f"{BASE}/StructureDefinition/msk-rtt-event"]
            assert len(events) == int(now["meta"]["versionId"])
