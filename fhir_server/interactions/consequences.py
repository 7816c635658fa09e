"""What a write sets off: the reactions of the server, in the transaction that writes.

Every writing interaction calls `react` once its resource is in the transaction; in a transaction Bundle once all are.
"""

from __future__ import annotations

from fhir_server.errors import FhirError, Issue
from fhir_server.interactions.exchange import Server
from fhir_server.storage.base import StoredVersion, Transaction


class AlreadyStored(FhirError):
    """A client sent again what is stored as `version`: no second one is needed."""

    status = 409
    code = "duplicate"

    def __init__(self, version: StoredVersion, issue: Issue) -> None:
        super().__init__(issue.diagnostics, issues=[issue])
        self.version = version


async def react(
    server: Server, transaction: Transaction, version: StoredVersion, *, replaceable: bool = False
) -> list[Issue]:
    """Warnings of the reactions to `version`; none when the write changed nothing, or nobody reacts to its type.

    Raises FhirError when a reaction refuses the write, and AlreadyStored, which undoes it as well, when it is
    `replaceable`: the client can be answered with the version that there is.
    """
    reactions = server.reactions
    if reactions is None or version.resource_type not in reactions.types:
        return []
    if version.last_updated != transaction.last_updated:
        return []
    try:
        return await reactions.after_write(server, transaction, version)
    except AlreadyStored as known:
        if replaceable:
            raise
        return known.issues
