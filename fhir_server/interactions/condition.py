"""Criteria that decide what is written: evaluated in the writer, ambiguous ones refused (R4 http.html#ccreate)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from fhir_server.errors import FhirError, MultipleMatches
from fhir_server.interactions.exchange import Request, Server
from fhir_server.search.conditional import Criteria
from fhir_server.storage.base import StoredVersion, Transaction
from fhir_server.terminology.reader import StoreReader, TransactionReader


async def foresee(server: Server, request: Request, conditions: Iterable[Criteria]) -> None:
    """Reads what the conditions depend on before the writer does, who then finds large value sets parsed.

    What is refused is refused in the writer: a transaction may write what its conditions name.
    """
    reader = StoreReader(server.store, request.scope)
    for condition in conditions:
        if condition.settled is None:
            with suppress(FhirError):
                await condition.query(reader, server.terminology)


async def sole_match(server: Server, transaction: Transaction, condition: Criteria) -> StoredVersion | None:
    """The one resource that matches, or None. Raises MultipleMatches (412).

    Lists, value sets and hierarchies count as they are at this point of the transaction.
    """
    query = await condition.query(TransactionReader(transaction), server.terminology)
    page = await transaction.search(replace(query, count=2))
    if len(page.matches) > 1:
        raise MultipleMatches(
            f"The criteria match more than one {query.resource_type}: make them select one, for example by identifier."
        )
    return page.matches[0] if page.matches else None
