"""What a write sets off: the reactions of the server, in the transaction that writes.

Every writing interaction calls `react` once its resource is in the transaction; in a transaction Bundle once all are.
"""

from __future__ import annotations

from fhir_server.errors import Issue
from fhir_server.interactions.exchange import Server
from fhir_server.storage.base import StoredVersion, Transaction


async def react(server: Server, transaction: Transaction, version: StoredVersion) -> list[Issue]:
    """Warnings of the reactions to `version`; none when the write changed nothing, or nobody reacts to its type.

    Raises FhirError when a reaction refuses the write.
    """
    reactions = server.reactions
    if reactions is None or version.resource_type not in reactions.types:
        return []
    if version.last_updated != transaction.last_updated:
        return []
    return await reactions.after_write(server, transaction, version)
