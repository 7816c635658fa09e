"""What is stored of the scoring of a response: scores, alerts and what corrects them, in one transaction.

The ids follow from the response, so what was stored for an earlier version of it is found again: corrected, withdrawn,
or named in the answer when it stands. Nothing that others changed is overwritten without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server.errors import BusinessRule, Issue
from fhir_server.instruments.observation import (
    derived_id,
    has_score,
    is_alert,
    is_outdated,
    lowered,
    observations,
    outdated,
)
from fhir_server.instruments.scoring import Scoring
from fhir_server.instruments.subject import subject_reference
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Server
from fhir_server.operations.found import found
from fhir_server.operations.score_provenance import Rescored, algorithm_of, provenance
from fhir_server.operations.score_step import with_step
from fhir_server.operations.scorer import Scorer, stored_patient
from fhir_server.operations.stored import content_of
from fhir_server.storage.base import StoredVersion, Transaction
from fhir_server.storage.query import HistoryQuery

Json = dict[str, Any]

_TYPE = "QuestionnaireResponse"
_IN_ERROR = "entered-in-error"
_SCORES = 1000
"""More than all scores of all instruments."""
_VERSIONS = 1000
"""How many versions of a response are looked at to tell our own content from an edit."""


@dataclass(slots=True)
class Kept:
    """What came of it; what is refused may still have stored alerts, corrected or withdrawn something."""

    refused: list[Issue]
    warnings: list[Issue]
    observations: list[Json] = field(default_factory=list)


async def store_scores(
    server: Server, transaction: Transaction, version: StoredVersion, scorer: Scorer, *, first: bool = False
) -> Kept:
    """Score `version` of a response, the newest in the transaction, and store what differs.

    `first`: nothing can have been stored for an earlier version, so nothing is searched for.
    """
    response = await with_step(transaction, content_of(version), server.settings.canonical_base)
    work = _Work(server, scorer, transaction, response)
    if not first:
        await work.look_up()
    if response.get("status") == _IN_ERROR:
        await work.withdraw()
        text = "A response entered in error is not scored."
        return Kept([Issue("business-rule", text, f"{_TYPE}.status")], work.warnings())
    try:
        scoring = await scorer.score(response, await stored_patient(transaction, response))
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

    def __init__(self, server: Server, scorer: Scorer, transaction: Transaction, response: Json) -> None:
        self._server = server
        self._scorer = scorer
        self._transaction = transaction
        self._response = response
        self._earlier: dict[str, Json] = {}
        """Observations stored before, by id."""
        self._deleted: set[str] = set()
        self._settled: set[str] = set()
        """Ids of the Observations that say what the response says."""
        self._rescored: list[Rescored] = []
        self._notes: list[Issue] = []
        self.kept: list[Json] = []

    async def look_up(self) -> None:
        """Of whatever instrument: the response may have named another one before."""
        criteria = [("derived-from", f"{_TYPE}/{self._response['id']}")]
        for version in await found(self._server, self._transaction, "Observation", criteria, _SCORES):
            content = content_of(version)
            if version.logical_id == derived_id(self._response["id"], content):
                self._earlier[version.logical_id] = content

    async def _look_up_again(self, logical_ids: Iterable[str]) -> None:
        """Those that a search does not find: deleted, or edited so that they do not name the response any more."""
        keys = [("Observation", logical_id) for logical_id in logical_ids if logical_id not in self._earlier]
        for (_, logical_id), version in (await self._transaction.versions(keys, bodies=True)).items():
            if version.body is None:
                self._deleted.add(logical_id)
            else:
                self._earlier[logical_id] = content_of(version)

    async def withdraw(self) -> None:
        """R4 observation-status: entered-in-error. All else stays, whoever wrote it."""
        for logical_id, content in self._earlier.items():
            self._settled.add(logical_id)
            if content["status"] != _IN_ERROR:
                await self._put({**content, "status": _IN_ERROR})
                self._note("information", f"Observation/{logical_id} is now {_IN_ERROR}, as the response is.")

    async def keep(self, scoring: Scoring) -> None:
        made = [self._identified(self._response, one) for one in observations(scoring, self._response)]
        lower = [self._identified(self._response, one) for one in lowered(scoring, self._response)]
        await self._look_up_again(one["id"] for one in (*made, *lower))
        for observation in made:
            await self._keep(observation)
            if is_alert(observation) and scoring.refused:
                self._note("information", f"The answer was stored as Observation/{observation['id']}.")
        for observation in lower:
            earlier = self._earlier.get(observation["id"])
            if earlier is not None:
                await self._keep(observation)
                self._note_lowered(earlier, observation)
        await self._outdate(scoring)
        if self._rescored:
            why = provenance(self._rescored, self._response, self._transaction.last_updated)
            draft = prepare_for(self._server, why, why["id"], fresh=True)
            self._note_rescored(await self._transaction.put(draft))

    async def _outdate(self, scoring: Scoring) -> None:
        """Scores stored before that these answers do not give: a value whose answers are gone must not be read."""
        instrument = scoring.instrument
        why = _briefly(scoring.refused) or f"It was answered on {instrument.canonical}."
        for logical_id, content in self._earlier.items():
            if logical_id in self._settled or is_alert(content) or content["status"] == _IN_ERROR:
                continue
            self._settled.add(logical_id)
            if has_score(content):
                await self._put(outdated(content, instrument.canonical_base, why))
                valued = f"Observation/{logical_id}/_history/{content['meta']['versionId']}"
                self._note("warning", f"{valued} has no value any more: the response as it is now does not give it.")

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
        return [*standing, *self._notes]

    def _note(self, severity: str, text: str) -> None:
        code = "informational" if severity == "information" else "business-rule"
        self._notes.append(Issue(code, text, None, severity))

    def _note_lowered(self, earlier: Json, now: Json) -> None:
        before = earlier.get("valueInteger")
        if before != now["valueInteger"]:
            change = f"answered {before} before, reads {now['valueInteger']} now"
            self._note("warning", f"{now['code']['text']}: {change}; Observation/{now['id']} is corrected.")

    def _note_rescored(self, why: StoredVersion) -> None:
        self._note("information", f"Scored again by other rules: Provenance/{why.logical_id} says from which to which.")

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
            labelled = {"resourceType": "Observation", "id": logical_id, "meta": earlier["meta"]}
            replacing = await self._put({**labelled, **observation})
            self.kept.append(replacing)
            if algorithm_of(earlier) != algorithm_of(observation):
                self._rescored.append(Rescored(earlier, replacing))
            elif not is_outdated(earlier) and not await self._is_ours(earlier):
                replaced = f"Observation/{logical_id}/_history/{earlier['meta']['versionId']}"
                self._note(
                    "warning",
                    f"{replaced} is replaced: it is not what these rules give for any version of the response. "
                    "Somebody changed it, or other settings gave it.",
                )

    async def _is_ours(self, content: Json) -> bool:
        """Whether `content` is what is stored here for a version of the response."""
        query = HistoryQuery(_TYPE, self._response["id"], count=_VERSIONS, total=False)
        history = await self._transaction.history(query)
        versions = [content_of(version) for version in history.versions if version.body]
        statuses = {version.get("status") for version in versions}
        patient = await stored_patient(self._transaction, self._response)
        base = self._server.settings.canonical_base
        # A response may have been scored before it was the answer to a step.
        stepped = [await with_step(self._transaction, version, base) for version in versions]
        for version in [*versions, *stepped]:
            try:
                scoring = await self._scorer.score(version, patient)
            except BusinessRule:
                continue
            for observation in [*observations(scoring, version), *lowered(scoring, version)]:
                ours = self._identified(version, observation)
                if _same(content, ours) or (_IN_ERROR in statuses and _same(content, {**ours, "status": _IN_ERROR})):
                    return True
        return False

    async def _put(self, resource: Json) -> Json:
        return content_of(await self._transaction.put(prepare_for(self._server, resource, resource["id"])))

    @staticmethod
    def _identified(response: Json, observation: Json) -> Json:
        return {"resourceType": "Observation", "id": derived_id(response["id"], observation), **observation}


def _briefly(reasons: Sequence[Issue]) -> str:
    """The first reason, and how many more there are: a response may have thousands."""
    first = "".join(issue.diagnostics for issue in reasons[:1])
    return f"{first} $score names {len(reasons) - 1} more." if len(reasons) > 1 else first


def _same(stored: Json, resource: Json) -> bool:
    return {**stored, "meta": None} == {**resource, "meta": None}
