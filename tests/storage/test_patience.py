"""A flood of long searches: who would wait longer than a search may take is told to come back, not kept waiting."""

from __future__ import annotations

import asyncio

from fhir_server.errors import Overloaded, TooCostly
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.sql.store import SqlStore

ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
"""Runs until its time budget ends it."""


async def test_no_search_waits_longer_than_one_may_run(settings: Settings) -> None:
    store = await open_store(settings.model_copy(update={"search_seconds": 0.3}))
    assert isinstance(store, SqlStore)
    searches = [store.session.fetch(ENDLESS, ()) for _ in range(40)]
    answers = await asyncio.wait_for(asyncio.gather(*searches, return_exceptions=True), 20)
    assert {type(answer) for answer in answers} == {TooCostly, Overloaded}
    # And the store is none the worse.
    assert [tuple(row) for row in await store.session.fetch("SELECT 1", ())] == [(1,)]
    await store.close()
