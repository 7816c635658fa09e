"""The Bundle that answers a search (R4 search.html, bundle.html#searchset)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_server.errors import Issue, operation_outcome
from fhir_server.interactions.binary import complete_body
from fhir_server.interactions.bundle import bundle, entry, search_links
from fhir_server.interactions.contained_matches import full_url, matched
from fhir_server.interactions.exchange import Request, Server
from fhir_server.interactions.subset import Subset
from fhir_server.model.json import encode as encode_json
from fhir_server.search.page import Cursor, encode, query_hash
from fhir_server.search.request import SearchRequest
from fhir_server.storage.base import Included, SearchPage, StoredVersion
from fhir_server.storage.query import Query

KIND = "search"
"""Of the cursors in its links."""
_FIRST = Cursor(0, None)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found."""

    wanted: SearchRequest
    queries: Sequence[Query]
    page: SearchPage
    included: Included
    text: str | None
    """The cursor that was followed, as sent; None on the first page."""
    at: Cursor | None
    """What it says."""
    warnings: tuple[str, ...] = ()
    """What the codes of its value sets and hierarchies rest on."""

    @property
    def total(self) -> int | None:
        return self.page.total if self.at is None or self.at.total is None else self.at.total


async def searchset(server: Server, request: Request, path: str, found: Found) -> bytes:
    """The matches, unless an earlier page had them, what they include, and an outcome of what was not done."""
    wanted, at = found.wanted, found.at or _FIRST
    entries: list[bytes] = []
    if at.included is None:
        subset = Subset(wanted.summary, wanted.elements)
        matches = await matched(server, request, wanted, found.queries, found.page)
        entries += [await _entry(server, request, one, subset, "match") for one in matches]
    subset = Subset(wanted.summary)  # R4 search.html#elements: not of included resources
    entries += [await _entry(server, request, one, subset, "include") for one in found.included.resources]
    issues = _issues(found)
    if issues:
        entries.append(entry(resource=encode_json(operation_outcome(issues)), search_mode="outcome"))
    links = search_links(request, path, wanted.used, await _cursors(server, found), found.text)
    return bundle("searchset", entries, total=found.total, links=links)


async def _entry(server: Server, request: Request, version: StoredVersion, subset: Subset, mode: str) -> bytes:
    body = version.body if version.blob is None else await complete_body(server, request, version)
    return entry(
        full_url=full_url(request.base_url, version),
        resource=subset.of(body or b"") if subset else body,
        search_mode=mode,
    )


def _issues(found: Found) -> list[Issue]:
    """R4 search.html#errors: what the search went without is named."""
    issues = [
        Issue("not-supported", f"{one.name} was ignored: {one.reason}", severity="warning")
        for one in found.wanted.ignored
    ]
    issues += [Issue("incomplete", text, severity="warning") for text in found.warnings]
    if found.included.next_after is not None:
        text = "There are more included resources than one page has: the link 'next' leads to the rest of them."
        issues.append(Issue("incomplete", text, severity="information"))
    elif found.included.cut:
        text = "Includes with :iterate were not followed to their end: they lead too far, or to too many resources."
        issues.append(Issue("incomplete", text, severity="warning"))
    return issues


async def _cursors(server: Server, found: Found) -> dict[str, str | None]:
    """The relations of the page's links and their cursors: None stands for no cursor.

    What a page's matches include comes first, then the next matches.
    """
    page, at = found.page, found.at or _FIRST
    if found.wanted.count == 0:
        return {}
    places: dict[str, Cursor] = {}
    start = Cursor(page.snapshot, at.after, at.backward, found.total)
    if found.at is not None:
        places["first"] = Cursor(page.snapshot, None, total=found.total)
    if at.included is not None:
        places["previous"] = start
    elif page.previous_after is not None:
        places["previous"] = Cursor(page.snapshot, page.previous_after, True, found.total)
    if found.included.next_after is not None:
        places["next"] = Cursor(page.snapshot, at.after, at.backward, found.total, found.included.next_after)
    elif page.next_after is not None:
        places["next"] = Cursor(page.snapshot, page.next_after, total=found.total)
    relations: dict[str, str | None] = {} if "first" in places else {"first": None}
    if places:
        key, query = await server.store.secret("cursor"), query_hash(found.wanted)
        relations |= {name: encode(key, place, kind=KIND, query=query) for name, place in places.items()}
    return relations
