"""Criteria that decide what is written: evaluated in the writer, ambiguous ones refused (R4 http.html#ccreate)."""

from __future__ import annotations

from dataclasses import replace

from fhir_server.errors import MultipleMatches
from fhir_server.storage.base import StoredVersion, Transaction
from fhir_server.storage.query import Query


async def sole_match(transaction: Transaction, query: Query) -> StoredVersion | None:
    """The one resource that matches, or None. Raises MultipleMatches (412)."""
    page = await transaction.search(replace(query, count=2))
    if len(page.matches) > 1:
        raise MultipleMatches(
            f"The criteria match more than one {query.resource_type}: make them select one, for example by identifier."
        )
    return page.matches[0] if page.matches else None
