"""Many connections and slow ones: everybody else is still answered."""

import asyncio
import resource

import httpx
import pytest

from tests.torture.writers import key_of

REQUEST = b"GET /fhir/Patient?_count=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def enough_files():
    """Let this process open as many sockets as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def open_connections(port, count):
    """So many connections, all open at the same time; opened 200 at once, below the usual accept backlog."""
    opened = []
    for start in range(0, count, 200):
        batch = range(start, min(start + 200, count))
        opened += await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in batch))
    return opened


async def close(connections):
    for _, writer in connections:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in connections), return_exceptions=True)


@pytest.mark.parametrize("count", [300, pytest.param(2000, marks=pytest.mark.torture)])
async def test_so_many_connections_at_once_are_all_answered(live_server, enough_files, count):
    connections = await open_connections(live_server.port, count)

    async def ask(reader, writer):
        writer.write(REQUEST)
        status = await asyncio.wait_for(reader.readline(), 60)
        return int(status.split()[1])

    try:
        statuses = await asyncio.gather(*(ask(*connection) for connection in connections))
    finally:
        await close(connections)
    assert statuses == [200] * count


@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=pytest.mark.torture)])
async def test_slow_clients_do_not_hold_up_others(live_server, enough_files, count):
    """Half of them stop in the middle of the header, half in the middle of a body."""
    connections = await open_connections(live_server.port, count)
    half_header = b"GET /fhir/Patient HTTP/1.1\r\nHost: loc"
    half_body = (
        b"POST /fhir/Patient HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/fhir+json\r\n"
        b'Content-Length: 1000\r\n\r\n{"resourceType": "Pa'
    )
    try:
        for number, (_, writer) in enumerate(connections):
            writer.write(half_body if number % 2 else half_header)
        async with httpx.AsyncClient(timeout=30) as client:
            for _ in range(20):
                created = await client.post(f"{live_server.base_url}/Patient", json={"resourceType": "Patient"})
                assert created.status_code == 201
                key = key_of(created.headers["Location"])
                assert (await client.get(f"{live_server.base_url}/{key}")).status_code == 200
    finally:
        await close(connections)
