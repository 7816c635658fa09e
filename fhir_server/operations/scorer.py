"""The scoring of a response by the definition of the questionnaire it names, under the settings of the server."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fhir_server.errors import BusinessRule
from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.scoring import Scoring, score_response
from fhir_server.instruments.subject import subject_at
from fhir_server.interactions.exchange import Server
from fhir_server.model.dates import zone

Json = dict[str, Any]


class Scorer:
    """Scores responses; `questionnaire` is what the caller says they were answered on."""

    def __init__(self, server: Server, questionnaire: str | None = None) -> None:
        self._settings = server.settings
        self._questionnaire = questionnaire

    def score(self, response: Json, patient: Json | None) -> Scoring:
        """`patient` is the Patient it is of, as far as known.

        Raises BusinessRule for a questionnaire without a definition.
        """
        settings = self._settings
        named = self._named(response)
        canonical = named.get("questionnaire")
        instrument = shipped(settings.canonical_base).of_questionnaire(canonical if isinstance(canonical, str) else "")
        return score_response(
            instrument,
            named,
            now=datetime.now(zone(settings.time_zone)),
            allow_unverified=settings.score_unverified == "allow",
            subject=subject_at(patient, named.get("authored")),
        )

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
