"""Terminology over a store of each engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fhir_server.storage.base import Store
from fhir_server.storage.scope import ALL
from fhir_server.terminology.reader import StoreReader
from fhir_server.terminology.service import Terminology
from tests.terminology.content import drafts

Put = Callable[..., Awaitable[None]]


@pytest.fixture
def put(store: Store) -> Put:
    """Stores resources, each as its next version."""

    async def work(*resources: dict[str, Any]) -> None:
        async def write(transaction: Any) -> None:
            for draft in drafts(resources):
                await transaction.put(draft)

        await store.write(ALL, write)

    return work


@pytest.fixture
def reader(store: Store) -> StoreReader:
    return StoreReader(store, ALL)


@pytest.fixture
def terminology() -> Terminology:
    return Terminology()
