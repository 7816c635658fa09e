"""What belongs to a patient: the compartment, type by type, and what its resources refer to.

R4 patient-operation-everything.html; compartmentdefinition-patient.html.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter, itemgetter

from fhir_server import spec
from fhir_server.model.identity import rid
from fhir_server.operations.references import questionnaires, targets
from fhir_server.search.definitions import definitions
from fhir_server.search.matching import Matching
from fhir_server.search.parameters.uri import match
from fhir_server.search.patient_compartment import ADDED, patient_parameters
from fhir_server.storage.base import SearchPage, StoredVersion
from fhir_server.storage.query import IdIn, InCompartment, Predicate, Query

Search = Callable[[Query], Awaitable[SearchPage]]
"""A store's search in the caller's scope, or a transaction's."""

PAGE = 200
"""Resources held in memory at once."""
OF_PATIENTS = frozenset(spec.compartment("Patient")) | set(ADDED) | {"Patient"}
"""Types whose resources are about a patient: R4's compartment definition and ours."""

_ANYWHERE = Matching(base_url="", time_zone="")
"""A search by url depends on neither."""


def compartment_types(held: Iterable[str]) -> tuple[str, ...]:
    """Those of the types `held` that the patient compartment may hold: Patient first, then by name."""
    types = (name for name in held if name == "Patient" or patient_parameters(name))
    return tuple(sorted(types, key=lambda name: (name != "Patient", name)))


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """One patient's resources as of one snapshot."""

    search: Search
    logical_id: str
    types: tuple[str, ...]
    """Types that a resource of the compartment may have, in the order they are returned; Patient first."""
    narrowed: dict[str, tuple[Predicate, ...]] = field(default_factory=dict)
    """Further predicates on the resources of a type."""
    snapshot: int | None = None

    async def page(
        self,
        resource_type: str,
        count: int,
        after: tuple[int | str | None, ...] | None = None,
        *extra: Predicate,
    ) -> SearchPage:
        """A page of the compartment's resources of one type; of Patients only the patient, and not those linked."""
        patient = (rid("Patient", self.logical_id),)
        within: Predicate = IdIn(patient) if resource_type == "Patient" else InCompartment(patient)
        predicates = (within, *self.narrowed.get(resource_type, ()), *extra)
        return await self.search(Query(resource_type, predicates, count=count, snapshot=self.snapshot, after=after))

    async def members(self) -> AsyncIterator[StoredVersion]:
        """The patient and the whole compartment."""
        for resource_type in self.types:
            after = None
            while True:
                page = await self.page(resource_type, PAGE, after)
                for version in page.matches:
                    yield version
                if page.next_after is None:
                    break
                after = page.next_after


@dataclass(slots=True)
class Referenced:
    """The resources that others refer to, and those these refer to, each once.

    `types` must leave out those of the patient compartment: what is this patient's was found there, and what is
    another patient's must not be given away.
    """

    search: Search
    types: frozenset[str]
    """Types looked up; references to others are not followed."""
    snapshot: int | None
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _pending: set[tuple[str, str]] = field(default_factory=set)
    _canonicals: set[str] = field(default_factory=set)

    def note(self, body: bytes) -> None:
        """Remember what `body` refers to."""
        for target in targets(body):
            if target[0] in self.types and target not in self._seen:
                self._seen.add(target)
                self._pending.add(target)
        if "Questionnaire" in self.types and b'"questionnaire":' in body:
            self._canonicals.update(questionnaires(body))

    async def follow(self) -> AsyncIterator[StoredVersion]:
        """The resources noted, then those they refer to, and so on; the same order for the same snapshot."""
        await self._find_questionnaires()
        while self._pending:
            wanted, self._pending = sorted(self._pending), set()
            for resource_type, of_type in groupby(wanted, key=itemgetter(0)):
                ids = [logical_id for _, logical_id in of_type]
                for start in range(0, len(ids), PAGE):
                    for version in await self._read(resource_type, ids[start : start + PAGE]):
                        self.note(version.body or b"")
                        yield version

    async def _find_questionnaires(self) -> None:
        """A canonical stands for what is stored under it: one version, or all when it names none."""
        url = definitions("Questionnaire")["url"]
        for canonical in sorted(self._canonicals):
            query = Query(
                "Questionnaire", (match(url, "", (canonical,), _ANYWHERE),), count=PAGE, snapshot=self.snapshot
            )
            for version in (await self.search(query)).matches:
                target = ("Questionnaire", version.logical_id)
                if target not in self._seen:
                    self._seen.add(target)
                    self._pending.add(target)

    async def _read(self, resource_type: str, ids: list[str]) -> list[StoredVersion]:
        rids = tuple(rid(resource_type, logical_id) for logical_id in ids)
        page = await self.search(Query(resource_type, (IdIn(rids),), count=len(ids), snapshot=self.snapshot))
        return sorted(page.matches, key=attrgetter("logical_id"))
