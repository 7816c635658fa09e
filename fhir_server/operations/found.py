"""What a search finds inside a transaction, for operations that look for what they stored before."""

from __future__ import annotations

from fhir_server.interactions.exchange import Server
from fhir_server.search.compile import compile_query
from fhir_server.search.parse import parse_search
from fhir_server.storage.base import StoredVersion, Transaction
from fhir_server.storage.query import Query


async def found(
    server: Server, transaction: Transaction, resource_type: str, criteria: list[tuple[str, str]], most: int
) -> list[StoredVersion]:
    """The first `most` matches of `criteria`, which depend on no other stored resources."""
    return (await transaction.search(query_of(server, resource_type, criteria, most))).matches


def query_of(server: Server, resource_type: str, criteria: list[tuple[str, str]], most: int) -> Query:
    """`criteria`, as in a URL, as a query for the first `most` matches."""
    return compile_query(
        parse_search(resource_type, criteria, strict=True, registry=server.registry),
        base_url="",
        time_zone=server.settings.time_zone,
        default_count=most,
        registry=server.registry,
    )
