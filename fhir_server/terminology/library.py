"""The stored CodeSystems and ValueSets of one question: found by canonical, parsed once per version.

Each use asks which versions are current; only what is new is read and parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fhir_server.model.json import decode
from fhir_server.search.definitions import definitions
from fhir_server.storage.base import StoredVersion
from fhir_server.storage.query import Or, Predicate, Query, TextIn
from fhir_server.storage.rows import cut
from fhir_server.terminology.cache import Cache
from fhir_server.terminology.canonical import Head, choose
from fhir_server.terminology.code_system import CodeSystem, code_system
from fhir_server.terminology.reader import Reader
from fhir_server.terminology.refusal import too_costly
from fhir_server.terminology.value_set import ValueSet, value_set

MOST_VERSIONS = 1000
"""Stored resources looked through: of one canonical, and code systems when none is named."""

Parser = Callable[[dict[str, Any], int], Any]
"""From a resource and its seq to what is kept of it, which has a `head` and a `weight`."""
_PARSERS: Mapping[str, Parser] = {"CodeSystem": code_system, "ValueSet": value_set}


class Library:
    """What one question has looked at; it lives no longer than the question."""

    def __init__(self, reader: Reader, cache: Cache, parsers: Mapping[str, Parser] = _PARSERS) -> None:
        self.reader = reader
        self._parsers = parsers
        self.only_committed = True
        """Everything seen so far was committed: what is made of it may be kept."""
        self._cache = cache
        self._found: dict[tuple[str, str], list[tuple[Head, StoredVersion]]] = {}
        self._uncommitted: dict[int, Any] = {}

    async def code_system(self, url: str, version: str, locked: str = "") -> CodeSystem | None:
        found = await self.by_canonical("CodeSystem", url, version, locked)
        assert found is None or isinstance(found, CodeSystem)
        return found

    async def value_set(self, url: str, version: str, locked: str = "") -> ValueSet | None:
        found = await self.by_canonical("ValueSet", url, version, locked)
        assert found is None or isinstance(found, ValueSet)
        return found

    async def value_set_at(self, predicate: Predicate) -> ValueSet | None:
        """The one that `predicate` selects."""
        for version in await self._search("ValueSet", (predicate,)):
            found = await self._parsed(version)
            assert found is None or isinstance(found, ValueSet)
            return found
        return None

    async def code_systems(self) -> list[CodeSystem]:
        """The one meant by the url of every stored code system."""
        by_url: dict[str, list[tuple[Head, StoredVersion]]] = {}
        for version in await self._search("CodeSystem", ()):
            if (head := await self._head(version)) is not None:
                by_url.setdefault(head.url, []).append((head, version))
        chosen = [await self._chosen(found, url, "", "") for url, found in by_url.items() if url]
        return [one for one in chosen if one is not None]

    async def by_canonical(self, resource_type: str, url: str, version: str, locked: str = "") -> Any:
        """What is kept of the one meant; None when there is none."""
        key = (resource_type, url)
        if key not in self._found:
            sources = definitions(resource_type)["url"].sources
            texts: tuple[Predicate, ...] = tuple([TextIn(source.p, (cut(url),)) for source in sources])
            self._found[key] = [
                (head, one)
                for one in await self._search(resource_type, (texts[0] if len(texts) == 1 else Or(texts),))
                if (head := await self._head(one)) is not None
            ]
        return await self._chosen(self._found[key], url, version, locked)

    async def _chosen(self, found: list[tuple[Head, StoredVersion]], url: str, version: str, locked: str) -> Any:
        head = choose([head for head, _ in found], url, version, locked)
        return None if head is None else await self._parsed(next(one for own, one in found if own is head))

    async def _search(self, resource_type: str, predicates: tuple[Predicate, ...]) -> list[StoredVersion]:
        page = await self.reader.search(Query(resource_type, predicates, count=MOST_VERSIONS, bodies=False))
        if page.next_after is not None:
            raise too_costly(
                f"More than {MOST_VERSIONS} resources of the type {resource_type} come into question: name the code"
                " system, or the version of the canonical."
            )
        return page.matches

    async def _head(self, version: StoredVersion) -> Head | None:
        """None when the version was purged meanwhile."""
        kept = self._cache.get(("head", version.seq)) if self.reader.is_committed(version) else None
        if kept is not None:
            assert isinstance(kept, Head)
            return kept
        parsed = await self._parsed(version)
        if parsed is None:
            return None
        head = parsed.head
        assert isinstance(head, Head)
        if self.reader.is_committed(version):
            self._cache.put(("head", version.seq), head, 1)
        return head

    async def _parsed(self, version: StoredVersion) -> Any:
        committed = self.reader.is_committed(version)
        self.only_committed = self.only_committed and committed
        key = (version.resource_type, version.seq)
        kept = self._cache.get(key) if committed else self._uncommitted.get(version.seq)
        if kept is not None:
            return kept
        whole = await self.reader.vread(version.resource_type, version.logical_id, version.version_id)
        if whole is None or whole.body is None:
            return None
        body = whole.body
        parse = self._parsers[version.resource_type]
        parsed = await self.reader.work(len(body), lambda: parse(decode(body), version.seq))
        if committed:
            self._cache.put(key, parsed, parsed.weight)
        else:
            self._uncommitted[version.seq] = parsed
        return parsed
