"""What $score stores when asked to persist: scores, alerts and what corrects them, in one transaction.

The ids follow from the response, so what was stored for an earlier version of it is found again: corrected, withdrawn,
or named in the answer when it stands. Nothing that others changed is overwritten without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fhir_server.errors import BusinessRule, Issue
from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.observation import (
    derived_id,
    derived_ids,
    flag,
    is_alert,
    lowered,
    moved_id,
    observations,
)
from fhir_server.instruments.scoring import Scoring
from fhir_server.instruments.subject import stored_patient_id, subject_reference
from fhir_server.interactions.answer import present
from fhir_server.interactions.draft import prepare
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.stored import content_of
from fhir_server.storage.base import StoredVersion, Transaction
from fhir_server.storage.query import HistoryQuery

Json = dict[str, Any]
Scorer = Callable[[Json, Json | None], Scoring]
"""Scores a response of a patient, who may not be stored. Raises BusinessRule for an unknown questionnaire."""

_TYPE = "QuestionnaireResponse"
_IN_ERROR = "entered-in-error"
_VERSIONS = 1000
"""How many versions of a response are looked at to tell our own content from an edit."""


@dataclass(slots=True)
class Kept:
    """What came of it; what is refused may still have stored alerts, corrected or withdrawn something."""

    refused: list[Issue]
    warnings: list[Issue]
    observations: list[Json] = field(default_factory=list)


async def store_scores(call: OperationRequest, scorer: Scorer, transaction: Transaction) -> Kept:
    """Score the version the transaction sees and store what differs."""
    assert call.logical_id is not None
    version = await transaction.current(_TYPE, call.logical_id)
    response = content_of(present(version, _TYPE, call.logical_id))
    work = _Work(call, scorer, transaction, response)
    await work.look_up()
    if response.get("status") == _IN_ERROR:
        await work.withdraw()
        text = "A response entered in error is not scored."
        return Kept([Issue("business-rule", text, f"{_TYPE}.status")], work.warnings())
    try:
        scoring = scorer(response, await work.patient())
    except BusinessRule as unknown:
        return Kept(unknown.issues, work.warnings())
    deleted = await _deleted_subject(transaction, response)
    if scoring.accepted and not deleted:
        await work.keep(scoring)
    return Kept([*scoring.refused, *deleted], [*scoring.warnings, *work.warnings()], work.kept)


async def _deleted_subject(transaction: Transaction, response: Json) -> list[Issue]:
    """A Patient that never was here is accepted, as by a create; one that was deleted gets no new record."""
    reference = subject_reference(response)
    if not reference.is_local:
        return []
    patient = await transaction.current(reference.resource_type, reference.logical_id)
    if patient is None or patient.body is not None:
        return []
    text = f"{reference.text} was deleted: no score is stored for it."
    return [Issue("deleted", text, f"{_TYPE}.subject.reference")]


class _Work:
    """The scores and alerts of one response within one transaction."""

    def __init__(self, call: OperationRequest, scorer: Scorer, transaction: Transaction, response: Json) -> None:
        self._settings = call.server.settings
        self._registry = call.server.registry
        self._scorer = scorer
        self._transaction = transaction
        self._response = response
        self._earlier: dict[str, Json] = {}
        """Observations stored before, by id."""
        self._deleted: set[str] = set()
        self._flags: dict[str, StoredVersion] = {}
        self._settled: set[str] = set()
        """Ids of the Observations that say what the response says."""
        self._raised: set[str] = set()
        self._notes: list[Issue] = []
        self.kept: list[Json] = []

    async def look_up(self) -> None:
        """Of every instrument: the response may have named another one before."""
        instruments = shipped(self._settings.canonical_base).instruments
        keys: list[tuple[str, str]] = []
        for scores, alerts in (derived_ids(self._response["id"], instrument) for instrument in instruments):
            keys += [("Observation", logical_id) for logical_id in [*scores, *alerts]]
            keys += [("Flag", logical_id) for logical_id in alerts]
        for (resource_type, logical_id), version in (await self._transaction.versions(keys, bodies=True)).items():
            if resource_type == "Flag":
                self._flags[logical_id] = version
            elif version.body is None:
                self._deleted.add(logical_id)
            else:
                self._earlier[logical_id] = content_of(version)

    async def patient(self) -> Json | None:
        """The stored Patient of the response."""
        logical_id = stored_patient_id(self._response)
        if logical_id is None:
            return None
        version = await self._transaction.current("Patient", logical_id)
        return content_of(version) if version is not None and version.body is not None else None

    async def withdraw(self) -> None:
        """R4 observation-status: entered-in-error. All else stays, whoever wrote it."""
        for logical_id, content in self._earlier.items():
            self._settled.add(logical_id)
            if content["status"] != _IN_ERROR:
                await self._put({**content, "status": _IN_ERROR})
                self._note("information", f"Observation/{logical_id} is now {_IN_ERROR}, as the response is.")

    async def keep(self, scoring: Scoring) -> None:
        for observation in observations(scoring, self._response):
            identified = self._identified(self._response, observation)
            await self._keep(identified)
            if is_alert(observation):
                await self._raise_flag(identified, told=bool(scoring.refused))
        for observation in lowered(scoring, self._response):
            identified = self._identified(self._response, observation)
            earlier = self._earlier.get(identified["id"])
            if earlier is not None:
                await self._keep(identified)
                self._note_lowered(earlier, identified)

    def warnings(self) -> list[Issue]:
        """What stands although the response does not say so (any more), then what was done."""
        standing = [
            Issue(
                "business-rule",
                f"Observation/{logical_id} stands as it was stored before: look at it.",
                None,
                "warning",
            )
            for logical_id, content in self._earlier.items()
            if logical_id not in self._settled and content["status"] != _IN_ERROR
        ]
        for logical_id, version in self._flags.items():
            if logical_id not in self._raised and _is_active(version):
                patient = content_of(version).get("subject", {}).get("reference", "?")
                text = f"Flag/{logical_id} on {patient} stands: only a clinician closes it."
                standing.append(Issue("business-rule", text, None, "warning"))
        return [*standing, *self._notes]

    def _note(self, severity: str, text: str) -> None:
        code = "informational" if severity == "information" else "business-rule"
        self._notes.append(Issue(code, text, None, severity))

    def _note_lowered(self, earlier: Json, now: Json) -> None:
        before = earlier.get("valueInteger")
        if before != now["valueInteger"]:
            change = f"answered {before} before, reads {now['valueInteger']} now"
            self._note("warning", f"{now['code']['text']}: {change}; Observation/{now['id']} is corrected.")

    async def _keep(self, observation: Json) -> None:
        """Store `observation` unless it is stored already; say so when that undoes what somebody else did."""
        logical_id = observation["id"]
        self._settled.add(logical_id)
        earlier = self._earlier.get(logical_id)
        if earlier is None:
            if logical_id in self._deleted:
                self._note("warning", f"Observation/{logical_id} had been deleted; it is stored again.")
            self.kept.append(await self._put(observation))
        elif _same(earlier, observation):
            self.kept.append(earlier)
        else:
            if not await self._is_ours(earlier):
                replaced = f"Observation/{logical_id}/_history/{earlier['meta']['versionId']}"
                self._note(
                    "warning",
                    f"{replaced} is replaced: it is not what these rules give for any version of the response. "
                    "Somebody changed it, or it was scored by other rules.",
                )
            labelled = {"resourceType": "Observation", "id": logical_id, "meta": earlier["meta"]}
            self.kept.append(await self._put({**labelled, **observation}))

    async def _is_ours(self, content: Json) -> bool:
        """Whether `content` is what is stored here for a version of the response."""
        query = HistoryQuery(_TYPE, self._response["id"], count=_VERSIONS, total=False)
        versions = [content_of(found) for found in (await self._transaction.history(query)).versions if found.body]
        statuses = {version.get("status") for version in versions}
        patient = await self.patient()
        for version in versions:
            try:
                scoring = self._scorer(version, patient)
            except BusinessRule:
                continue
            for observation in [*observations(scoring, version), *lowered(scoring, version)]:
                ours = self._identified(version, observation)
                if _same(content, ours) or (_IN_ERROR in statuses and _same(content, {**ours, "status": _IN_ERROR})):
                    return True
        return False

    async def _raise_flag(self, alert: Json, *, told: bool) -> None:
        """Once for a patient: a Flag that was ever here is left to clinicians."""
        logical_id = alert["id"]
        found = self._flags.get(logical_id)
        if found is not None and _is_of_another(found, alert["subject"]):
            # The response was somebody else's before. That Flag stands, as a warning says; this patient needs one too.
            logical_id = moved_id(alert)
            found = await self._transaction.current("Flag", logical_id)
        else:
            self._raised.add(logical_id)
        if found is None:
            draft = prepare(
                flag(alert) | {"id": logical_id},
                logical_id,
                time_zone=self._settings.time_zone,
                registry=self._registry,
            )
            await self._transaction.put(draft)
        elif not _is_active(found):
            self._note("warning", f"Flag/{logical_id} was closed or deleted; it is not opened again.")
        if told:
            self._note("information", f"The alert was stored as Observation/{alert['id']} and Flag/{logical_id}.")

    async def _put(self, resource: Json) -> Json:
        draft = prepare(resource, resource["id"], time_zone=self._settings.time_zone, registry=self._registry)
        return content_of(await self._transaction.put(draft))

    @staticmethod
    def _identified(response: Json, observation: Json) -> Json:
        return {"resourceType": "Observation", "id": derived_id(response["id"], observation), **observation}


def _is_of_another(version: StoredVersion, subject: Json) -> bool:
    """A deleted Flag tells no patient: it is taken for this one's."""
    if version.body is None:
        return False
    return bool(content_of(version).get("subject", {}).get("reference") != subject.get("reference"))


def _is_active(version: StoredVersion) -> bool:
    return version.body is not None and content_of(version).get("status") == "active"


def _same(stored: Json, resource: Json) -> bool:
    return {**stored, "meta": None} == {**resource, "meta": None}
