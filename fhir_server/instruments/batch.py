"""Many responses scored one after the other: the same kernel as `$score`, without explaining what has no fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from fhir_server.errors import BusinessRule, Issue
from fhir_server.instruments.catalogue import Catalogue
from fhir_server.instruments.definition import Absence, Alert, Exact, Instrument, Subject
from fhir_server.instruments.evaluation import NOBODY, Outcome, evaluate
from fhir_server.instruments.observation import is_alert, observations
from fhir_server.instruments.quick import quick_readings
from fhir_server.instruments.rounding import as_decimal
from fhir_server.instruments.scoring import Scoring, reason, score_response, status_of


class Row(msgspec.Struct, frozen=True, rename="camel"):
    """One score of one response, or, without `score`, why the response has none."""

    response_id: str | None
    score: str | None
    """`<instrument id>.<score name>`, or of an alert."""
    value: Decimal | int | str | None
    """Exact, or a stratum or profile."""
    status: str
    """As of the Observation; `absent` for a score without a value, `refused` for a response without scores, `alert`."""
    reason: str | None = None


encode_rows = msgspec.json.Encoder(decimal_format="number").encode_lines
"""Rows, or other JSON, as NDJSON."""


def row_of(response_id: str, observation: dict[str, Any]) -> Row:
    """The row of an Observation that `$score` gives."""
    name = observation["code"]["coding"][0]["code"]
    if "dataAbsentReason" in observation:
        return Row(response_id, name, None, "absent", observation["dataAbsentReason"]["text"])
    if is_alert(observation):
        raised = observation["interpretation"][0]["coding"][0]["code"] == "POS"
        status = "alert" if raised else observation["status"]
        return Row(response_id, name, observation["valueInteger"], status, observation["note"][0]["text"])
    concept = observation.get("valueCodeableConcept")
    value = concept["text"] if concept else observation["valueQuantity"]["value"]
    return Row(response_id, name, value, observation["status"])


class BatchScorer:
    """Scores responses to any instrument of a catalogue as they come."""

    def __init__(
        self,
        catalogue: Catalogue,
        now: datetime,
        *,
        allow_unverified: bool = False,
        wordings: Mapping[str, bytes] | None = None,
    ) -> None:
        """`wordings` are the bodies of imported Questionnaires by logical id."""
        self._catalogue = catalogue
        self._wordings = wordings or {}
        self._now = now
        self._allow_unverified = allow_unverified
        self._scorers: dict[str, _InstrumentScorer] = {}

    def rows(self, response: dict[str, Any], subject: Subject = NOBODY) -> list[Row]:
        """One row for each score, or one that says why there are none."""
        try:
            return self._scorer_of(response).rows(response, subject)
        except BusinessRule as unknown:
            return [_refusal(response, unknown.issues)]

    def observations(self, response: dict[str, Any], subject: Subject = NOBODY) -> list[dict[str, Any]]:
        """The Observations that `$score` answers with. Raises BusinessRule when the response is not scored."""
        return self._scorer_of(response).observations(response, subject)

    def _scorer_of(self, response: dict[str, Any]) -> _InstrumentScorer:
        canonical = response.get("questionnaire")
        text = canonical if isinstance(canonical, str) else ""
        scorer = self._scorers.get(text)
        if scorer is None:
            stored = self._wordings.get(self._catalogue.wording_id(text) or "")
            instrument = (
                self._catalogue.of_questionnaire(text) if stored is None else self._catalogue.worded(text, stored)
            )
            scorer = _InstrumentScorer(instrument, self._now, self._allow_unverified)
            if text == instrument.canonical:  # what else responses name is of no bound
                self._scorers[text] = scorer
        return scorer


class _InstrumentScorer:
    def __init__(self, instrument: Instrument, now: datetime, allow_unverified: bool) -> None:
        self.instrument = instrument
        self._now = now
        self._allow_unverified = allow_unverified
        self._names = [f"{instrument.id}.{score.name}" for score in instrument.scores]
        self._decimals: dict[Exact, Decimal] = {}

    def rows(self, response: dict[str, Any], subject: Subject) -> list[Row]:
        readings = quick_readings(self.instrument, response, self._now)
        if readings is None:
            scoring = self._closely(response, subject)
            return self._rows_of(response, scoring)
        outcomes = evaluate(self.instrument, readings, subject, allow_unverified=self._allow_unverified)
        rows = self._rows(response, outcomes)
        if all(row.value is None for row in rows):
            return self._rows_of(response, self._closely(response, subject))
        for alert in self.instrument.alerts:
            reading = readings.get(alert.item)
            if isinstance(reading, int) and reading > alert.above:
                rows.append(self._alert(response, alert, Decimal(reading)))
        return rows

    def observations(self, response: dict[str, Any], subject: Subject) -> list[dict[str, Any]]:
        scoring = self._closely(response, subject)
        if scoring.refused:
            raise BusinessRule("The response is not scored.", issues=[*scoring.refused, *scoring.warnings])
        return observations(scoring, response)

    def _closely(self, response: dict[str, Any], subject: Subject) -> Scoring:
        return score_response(
            self.instrument, response, now=self._now, allow_unverified=self._allow_unverified, subject=subject
        )

    def _rows(self, response: dict[str, Any], outcomes: list[Outcome]) -> list[Row]:
        response_id, response_status = response.get("id"), response["status"]
        rows = []
        for name, score, outcome in zip(self._names, self.instrument.scores, outcomes, strict=True):
            value = outcome.value
            if isinstance(value, Absence):
                rows.append(Row(response_id, name, None, "absent", reason(value)))
                continue
            status = status_of(score, outcome, response_status, allow_unverified=self._allow_unverified)
            rows.append(Row(response_id, name, value if isinstance(value, str) else self._decimal(value), status))
        return rows

    def _decimal(self, value: Exact) -> Decimal:
        number = self._decimals.get(value)
        if number is None:
            if len(self._decimals) > _KEPT:
                self._decimals.clear()
            number = self._decimals[value] = as_decimal(value)
        return number

    def _rows_of(self, response: dict[str, Any], scoring: Scoring) -> list[Row]:
        response_id = response.get("id")
        rows = [_refusal(response, scoring.refused)] if scoring.refused else []
        for name, result in zip(self._names, scoring.results, strict=False):
            if result.absence:
                rows.append(Row(response_id, name, None, "absent", reason(result.absence)))
            else:
                rows.append(Row(response_id, name, result.code or result.value, result.status))
        rows += [self._alert(response, raised.alert, raised.value) for raised in scoring.alerts]
        return rows

    def _alert(self, response: dict[str, Any], alert: Alert, value: Decimal) -> Row:
        return Row(response.get("id"), f"{self.instrument.id}.{alert.name}", value, "alert", alert.advice)


_KEPT = 100_000
"""Values whose decimals are kept."""


def _refusal(response: dict[str, Any], issues: Iterable[Issue]) -> Row:
    response_id = response.get("id")
    why = " ".join(issue.diagnostics for issue in issues)
    return Row(response_id if isinstance(response_id, str) else None, None, None, "refused", why)
