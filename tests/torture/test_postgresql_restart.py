"""PostgreSQL goes away under load: 503 with Retry-After meanwhile, and recovery without a restart of the server."""

import asyncio
import uuid

import httpx
import pytest

from tests.live_server import start_server
from tests.postgres import OwnPostgres, execute, own_directory, with_database
from tests.torture.writers import Written, check_database, halves, missing, write_until


@pytest.fixture
def own_postgres():
    server = OwnPostgres(own_directory(uuid.uuid4().hex[:12]))
    yield server
    server.remove()


@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.torture)])
async def test_the_server_outlives_a_restart_of_postgresql(own_postgres, tmp_path, rounds):
    execute(own_postgres.url, "CREATE DATABASE outage")
    database = with_database(own_postgres.url, "outage")
    written = Written()
    server = start_server(database, tmp_path)
    try:
        for _ in range(rounds):
            await write_until(server.base_url, written, enough(written, acknowledged=20))
            await write_until(
                server.base_url,
                written,
                enough(written, refusals=20),
                meanwhile=asyncio.to_thread(own_postgres.stop),
            )
            ready = httpx.get(f"{server.root_url}/health/ready", timeout=30)
            live = httpx.get(f"{server.root_url}/health/live", timeout=30)
            assert (ready.status_code, live.status_code) == (503, 200)
            await write_until(
                server.base_url,
                written,
                enough(written, acknowledged=20),
                meanwhile=asyncio.to_thread(own_postgres.start),
            )
            assert missing(server.base_url, written) == []
            assert halves(server.base_url, written) == []
        assert server.stop() == 0
    finally:
        server.kill()
    assert {answer.status_code for answer in written.refusals} == {503}
    assert all("Retry-After" in answer.headers for answer in written.refusals)
    assert all(answer.json()["resourceType"] == "OperationOutcome" for answer in written.refusals)
    check_database(database)


def enough(written, *, acknowledged=0, refusals=0):
    """Stop once so many more were acknowledged and so many more refused."""
    want = len(written.acknowledged) + acknowledged, len(written.refusals) + refusals
    return lambda: len(written.acknowledged) >= want[0] and len(written.refusals) >= want[1]
