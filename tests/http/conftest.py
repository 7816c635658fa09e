"""A trivial dispatch, and a client of the endpoint in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from fhir_server.observability import log_writer, logs
from tests.http.trivial import TableDispatch, application, client_of


@pytest.fixture(autouse=True)
def log_lines(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What this process logs during the test, instead of standard error."""
    logs.configure("info")
    lines: list[bytes] = []
    monkeypatch.setattr(log_writer.standard_error, "write", lines.append)
    return lines


@pytest.fixture
def dispatch() -> TableDispatch:
    return TableDispatch()


@pytest.fixture
async def client(dispatch: TableDispatch) -> AsyncIterator[httpx.AsyncClient]:
    async for client in client_of(application(dispatch)):
        yield client
