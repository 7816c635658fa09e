"""Observation $lastn: the most recent Observations of each code of one subject.

R4 observation-operation-lastn.html. The URL's other parameters are those of a search of Observations. Which codes are
the same is known when all matches were seen, so all are walked, newest first, and few are held; a search by one code
ends early.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

from fhir_server import spec
from fhir_server.errors import InvalidSearch, TooCostly
from fhir_server.interactions.bundle import links
from fhir_server.interactions.exchange import Response
from fhir_server.operations.code_groups import LatestByCode
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.searchset import Found, searchset
from fhir_server.search.compile import compile_query
from fhir_server.search.controls import CONTROLS
from fhir_server.search.knowledge import gather
from fhir_server.search.matching import split
from fhir_server.search.page import CURSOR_PARAMETER
from fhir_server.search.parse import parse_search
from fhir_server.search.request import Criterion, SearchRequest
from fhir_server.storage.base import StoredVersion
from fhir_server.storage.query import Query
from fhir_server.terminology.reader import StoreReader

PAGE = 500
"""Matches read at once: some milliseconds of the event loop."""
TIES = 5
"""Matches read beyond max where there is one code: enough to see that those of the same time have ended."""
MOST_MATCHES = 20_000
"""Most matches that are walked: a patient's record of many years has fewer of one category."""

_SUBJECTS = ("patient", "subject")
_CODES = ("code", "combo-code", "component-code")
"""Parameters whose expression has a code in it are called so, or begin so (code-value-concept)."""


async def lastn(call: OperationRequest) -> Response:
    """Raises InvalidSearch (400) for what cannot be asked, TooCostly (422) for too many matches."""
    wanted = _wanted(call)
    most_of_each = call.one("max") or 1
    latest = LatestByCode(most_of_each, call.server.settings.time_zone)
    of_one_code = any(map(_is_one_code, _criteria(wanted)))
    query = await _query(call, wanted, min(PAGE, most_of_each + TIES) if of_one_code else PAGE)
    await _walk(call, query, latest, of_one_code=of_one_code)
    most = tuple(("max", str(value)) for value in call.many("max"))
    page_links = links(call.request, "Observation/$lastn", (*wanted.used, *most), None)
    return Response(200, await searchset(call.server, call.request, _each(latest.versions()), page_links, total=True))


async def _walk(call: OperationRequest, query: Query, latest: LatestByCode, *, of_one_code: bool) -> None:
    """`of_one_code`: all matches are of one group, so the first that is not kept is the end."""
    walked = 0
    while True:
        page = await call.server.store.search(call.scope, query)
        for version in page.matches:
            if not latest.add(version) and of_one_code:
                return
        if page.next_after is None:
            return
        walked += len(page.matches)
        if walked >= MOST_MATCHES:
            raise TooCostly(
                f"More than {MOST_MATCHES} Observations match: add category, code or date to look at fewer of them."
            )
        query = replace(query, snapshot=page.snapshot, after=page.next_after)


async def _query(call: OperationRequest, wanted: SearchRequest, count: int) -> Query:
    server, base_url = call.server, call.request.base_url
    reader = StoreReader(server.store, call.scope)
    knowledge = await gather(wanted, reader, server.terminology, base_url=base_url, registry=server.registry)
    if knowledge.warnings:
        raise InvalidSearch(f"$lastn cannot rest on a part of the codes. {' '.join(knowledge.warnings)}")
    return compile_query(
        replace(wanted, count=count),
        base_url=base_url,
        time_zone=server.settings.time_zone,
        max_count=PAGE,
        knowledge=knowledge,
        registry=server.registry,
    )


def _wanted(call: OperationRequest) -> SearchRequest:
    """The search: of one subject, and of a category or a code, as R4 asks. Nothing in it is ignored."""
    pairs = [(name, value) for name, value in call.request.query if name != "max"]
    for name, _ in pairs:
        if name == CURSOR_PARAMETER or name.partition(":")[0] in CONTROLS:
            raise InvalidSearch(
                f"$lastn answers whole Observations, newest first, as many of each code as max says: leave {name} out.",
                code="not-supported",
            )
    wanted = parse_search("Observation", pairs, strict=True, registry=call.server.registry)
    if not any(map(_is_one_subject, _criteria(wanted))):
        raise InvalidSearch("$lastn needs one subject: add patient=[id] or subject=[type]/[id].", code="required")
    if not any(map(_is_of_code, _criteria(wanted))):
        raise InvalidSearch("$lastn needs category or code, or a parameter with a code in it.", code="required")
    return wanted


def _criteria(wanted: SearchRequest) -> Iterable[Criterion]:
    return (one for one in wanted.criteria if isinstance(one, Criterion))


def _is_one_subject(one: Criterion) -> bool:
    return one.code in _SUBJECTS and len(one.values) == 1 and one.modifier in ("", *spec.RESOURCE_TYPES)


def _is_of_code(one: Criterion) -> bool:
    return one.code == "category" or one.code.startswith(_CODES)


def _is_one_code(one: Criterion) -> bool:
    """All that match have this coding in common; a code without its system may be of many."""
    if one.code != "code" or one.modifier or len(one.values) > 1:
        return False
    _, *code = split(one.values[0], "|")
    return bool(code and code[0])


async def _each(versions: Iterable[StoredVersion]) -> AsyncIterator[Found]:
    for version in versions:
        yield version, "match"
