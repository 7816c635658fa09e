"""Scores every QuestionnaireResponse that is written, by whatever way, in the transaction that writes it.

Only with settings.score_on_write: a Store that does more at the end of each work. The same scoring as $score with
persist; a response that cannot be scored is stored all the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from fhir_server.instruments.catalogue import shipped
from fhir_server.operations.score_storage import store_scores
from fhir_server.operations.scorer import Scorer

if TYPE_CHECKING:
    from fhir_server.interactions.exchange import Server
    from fhir_server.storage.base import Draft, Store, StoredVersion, Transaction
    from fhir_server.storage.scope import Scope

T = TypeVar("T")


def scoring_on_write(server: Server) -> Server:
    """`server` with its store scoring, where it is set to.

    Raises DefinitionError when an instrument cannot be scored: better at start than at a patient's response.
    """
    if server.settings.score_on_write:
        catalogue = shipped(server.settings.canonical_base)
        for instrument_id in catalogue.ids:
            catalogue.instrument(instrument_id)
        server.store = cast("Store", _ScoringStore(server))
    return server


class _ScoringStore:
    """The server's store, but for `write`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._store = server.store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, scope: Scope, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async def work_and_score(transaction: Transaction) -> T:
            watched = _Watched(transaction)
            result = await work(cast("Transaction", watched))
            for version in watched.responses.values():
                first = version.version_id == 1
                await store_scores(self._server, transaction, version, Scorer(self._server, transaction), first=first)
            return result

        return await self._store.write(scope, work_and_score)


class _Watched:
    """A transaction that remembers the responses put into it, each as it was put last."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self.responses: dict[str, StoredVersion] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction, name)

    async def put(self, draft: Draft) -> StoredVersion:
        version = await self._transaction.put(draft)
        if draft.resource_type == "QuestionnaireResponse":
            self.responses[draft.logical_id] = version
        return version
