"""A full disk under SQLite: writes are refused, nothing is corrupted, reads go on, and room makes it well again."""

import resource
from pathlib import Path

import httpx
import pytest

from tests.live_server import start_server
from tests.torture.writers import Written, check_database, halves, missing, write_until

ROOM = 300_000
"""Bytes that files may still grow."""


@pytest.mark.parametrize("refusals", [5, pytest.param(200, marks=pytest.mark.torture)])
async def test_a_full_disk_refuses_writes_and_corrupts_nothing(new_database, tmp_path, refusals):
    database = new_database("sqlite")
    written = Written()
    server = start_server(database, tmp_path)
    try:
        await write_until(server.base_url, written, lambda: len(written.acknowledged) >= 5, writers=4)
        before = len(written.acknowledged)
        file = Path(database.removeprefix("sqlite:///"))
        largest = max(path.stat().st_size for path in file.parent.iterdir())
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        # A write beyond the limit fails in the server as one on a full disk does (setrlimit(2), EFBIG).
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (largest + ROOM, hard))
        await write_until(server.base_url, written, lambda: len(written.refusals) >= refusals, writers=4)
        assert {answer.status_code for answer in written.refusals} <= {503, 507}
        assert all(answer.json()["resourceType"] == "OperationOutcome" for answer in written.refusals)
        assert httpx.get(f"{server.root_url}/health/live").status_code == 200
        assert missing(server.base_url, written) == []
        full = len(written.acknowledged)

        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))
        await write_until(server.base_url, written, lambda: len(written.acknowledged) >= full + 5, writers=4)
        assert missing(server.base_url, written) == []
        assert halves(server.base_url, written) == []
        assert server.stop() == 0
    finally:
        server.kill()
    assert full >= before
    check_database(database)
