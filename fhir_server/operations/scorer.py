"""The scoring of a response by the definition of the questionnaire it names, under the settings of the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from fhir_server.errors import BusinessRule
from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.definition import Instrument
from fhir_server.instruments.scoring import Scoring, score_response
from fhir_server.instruments.subject import stored_patient_id, subject_at
from fhir_server.interactions.exchange import Server
from fhir_server.operations.stored import content_of
from fhir_server.storage.base import SearchPage, Store, StoredVersion
from fhir_server.storage.query import Query
from fhir_server.storage.scope import Scope

Json = dict[str, Any]


class Reading(Protocol):
    """Where an imported wording is looked up: a Transaction, or a store that is read in a scope."""

    async def current(self, resource_type: str, logical_id: str) -> StoredVersion | None: ...


class StoreReading:
    """A store outside a transaction."""

    def __init__(self, store: Store, scope: Scope) -> None:
        self._store = store
        self._scope = scope

    async def current(self, resource_type: str, logical_id: str) -> StoredVersion | None:
        return await self._store.read(self._scope, resource_type, logical_id)

    async def search(self, query: Query) -> SearchPage:
        return await self._store.search(self._scope, query)

    async def search_all(self, queries: Sequence[Query]) -> SearchPage:
        return await self._store.search_all(self._scope, queries)


async def stored_patient(reading: Reading, response: Json) -> Json | None:
    """The Patient of this server that the response is of."""
    logical_id = stored_patient_id(response)
    version = None if logical_id is None else await reading.current("Patient", logical_id)
    return content_of(version) if version is not None and version.body is not None else None


class Scorer:
    """Scores responses; `questionnaire` is what the caller says they were answered on."""

    def __init__(self, server: Server, reading: Reading, questionnaire: str | None = None) -> None:
        self._settings = server.settings
        self._clock = server.clock
        self._reading = reading
        self._questionnaire = questionnaire

    async def score(self, response: Json, patient: Json | None) -> Scoring:
        """`patient` is the Patient it is of, as far as known.

        Raises BusinessRule for a questionnaire without a definition.
        """
        settings = self._settings
        named = self._named(response)
        canonical = named.get("questionnaire")
        return score_response(
            await self._instrument(canonical if isinstance(canonical, str) else ""),
            named,
            now=self._clock.now(),
            allow_unverified=settings.score_unverified == "allow",
            subject=subject_at(patient, named.get("authored")),
        )

    async def _instrument(self, canonical: str) -> Instrument:
        """With the wording that was imported as `canonical`; an unknown version is for the scoring to refuse."""
        catalogue = shipped(self._settings.canonical_base)
        logical_id = catalogue.wording_id(canonical)
        stored = None if logical_id is None else await self._reading.current("Questionnaire", logical_id)
        if stored is None or stored.body is None:
            return catalogue.of_questionnaire(canonical)
        return catalogue.worded(canonical, stored.body)

    def _named(self, response: Json) -> Json:
        """`response` with the questionnaire, which may only add what the response leaves open."""
        given = self._questionnaire
        if given is None:
            return response
        own = response.get("questionnaire")
        if own not in (None, given, given.partition("|")[0]):
            raise BusinessRule(
                f"The response was answered on {own}, not on {given}.",
                expression="QuestionnaireResponse.questionnaire",
            )
        return {**response, "questionnaire": given}
