"""The definitions that plans are made of, found in the store and kept ready by their content."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from fhir_server.errors import BusinessRule
from fhir_server.interactions.exchange import Server
from fhir_server.operations.stored import content_of
from fhir_server.pathways.definition import Pathway
from fhir_server.pathways.definition_reading import nested_plans, read_pathway
from fhir_server.search.definitions import definitions
from fhir_server.storage.base import SearchPage, StoredVersion
from fhir_server.storage.query import Query, TextIn
from fhir_server.storage.rows import cut

Json = dict[str, Any]

MOST_PLANS = 50
"""PlanDefinitions that one plan may be made of."""
_KEPT = 1000
"""Pathways and activities kept ready."""


class Reader(Protocol):
    """A Transaction, or a store that is read in a scope (`scorer.StoreReading`)."""

    async def current(self, resource_type: str, logical_id: str) -> StoredVersion | None: ...

    async def search(self, query: Query) -> SearchPage: ...


class _Kept:
    """Things made of stored bodies, by these: a body never means something else, so nothing here grows old."""

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}

    def get(self, key: Any) -> Any:
        return self._made.get(key)

    def keep(self, key: Any, made: Any) -> None:
        if len(self._made) >= _KEPT:
            del self._made[next(iter(self._made))]
        self._made[key] = made


_PATHWAYS = _Kept()
_PARSED = _Kept()


async def named_definition(reader: Reader, canonical: str, place: str) -> StoredVersion:
    """The PlanDefinition `url|version`, an active one first.

    Raises BusinessRule (422) at `place` when it is not here.
    """
    url, _, version = canonical.partition("|")
    if not version:
        raise BusinessRule(
            f"{canonical} needs the version of the PlanDefinition: [url]|[version].", code="value", expression=place
        )
    stored = await _stored(reader, "PlanDefinition", [url])
    candidates = [one for one in stored if parsed(one).get("version") == version]
    candidates.sort(key=lambda one: parsed(one).get("status") != "active")
    if not candidates:
        here = ", ".join(sorted(parsed(one)["version"] for one in stored if "version" in parsed(one))) or "none"
        raise BusinessRule(
            f"There is no PlanDefinition {canonical}. Versions that are here: {here}.",
            code="not-found",
            expression=place,
        )
    return candidates[0]


async def pathway_of(server: Server, reader: Reader, definition: StoredVersion) -> Pathway:
    """The definition as a pathway, with the PlanDefinitions it uses.

    Raises BusinessRule (422) for what is not carried out, not here, or used by itself.
    """
    used = await _used(reader, definition)
    key = (server.settings.canonical_base, definition.body, *((name, one.body) for name, one in used.items()))
    pathway: Pathway | None = _PATHWAYS.get(key)
    if pathway is None:
        plans = {canonical: parsed(one) for canonical, one in used.items()}
        pathway = read_pathway(parsed(definition), server.settings.canonical_base, plans)
        _PATHWAYS.keep(key, pathway)
    return pathway


async def activities_of(reader: Reader, pathway: Pathway) -> dict[str, Json]:
    """The ActivityDefinitions of the pathway that are stored, by canonical and active ones first, in one search."""
    by_canonical: dict[str, Json] = {}
    urls = {step.activity.partition("|")[0] for step in pathway.steps}
    for version in await _stored(reader, "ActivityDefinition", urls):
        activity = parsed(version)
        canonical = f"{activity['url']}|{activity.get('version', '')}"
        if by_canonical.get(canonical, {}).get("status") != "active":
            by_canonical[canonical] = activity
    return by_canonical


def parsed(version: StoredVersion) -> Json:
    """The content of a definition, shared: not to be changed."""
    found: Json | None = _PARSED.get(version.body)
    if found is None:
        found = content_of(version)
        _PARSED.keep(version.body, found)
    return found


async def _used(reader: Reader, definition: StoredVersion) -> dict[str, StoredVersion]:
    """The active PlanDefinitions that it uses, and those they use, by canonical; the pathway says what is missing."""
    used: dict[str, StoredVersion] = {}
    wanted = {canonical for canonical, _ in nested_plans(parsed(definition))}
    while wanted:
        found: dict[str, StoredVersion] = {}
        for version in await _stored(reader, "PlanDefinition", {one.partition("|")[0] for one in wanted}):
            plan = parsed(version)
            canonical = f"{plan['url']}|{plan.get('version', '')}"
            if canonical in wanted and plan.get("status") == "active":
                found[canonical] = version
        used |= found
        if len(used) > MOST_PLANS:
            raise BusinessRule(
                f"The plan uses more than {MOST_PLANS} others.", code="too-costly", expression="PlanDefinition.action"
            )
        wanted = {name for one in found.values() for name, _ in nested_plans(parsed(one))} - used.keys()
    return used


async def _stored(reader: Reader, resource_type: str, urls: Iterable[str]) -> list[StoredVersion]:
    """Those with one of `urls`, whatever their version."""
    (source,) = definitions(resource_type)["url"].sources
    named = set(urls)
    values = tuple(sorted({cut(url) for url in named}))
    page = await reader.search(Query(resource_type, (TextIn(source.p, values),), count=1000))
    return [version for version in page.matches if parsed(version)["url"] in named]
