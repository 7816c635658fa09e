"""What is looked up before a search is planned: codes in the dictionary, and the other ends of chains.

A chain whose inner search finds few resources becomes a look-up of references to those; one that finds many is asked of
each candidate instead (conditions.py). Both see the snapshot of the search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fhir_server.storage import query as q
from fhir_server.storage.codes import TYPE_NAMES
from fhir_server.storage.contained import MARK
from fhir_server.storage.rows import DISPLAY
from fhir_server.storage.sql.dialect import Session, Statement
from fhir_server.storage.sql.driver import narrow_driver
from fhir_server.storage.sql.plan import Plan
from fhir_server.storage.sql.predicates import starts_with

FEW = 1_000
"""Up to so many resources or codes are looked up beforehand."""

SAMPLE = 100
"""Of more matches than are looked up, so many show whether they are of few resources."""

NO_TOKEN = (-(2**63),)
"""v of no token: a code that was never stored matches nothing."""


class Resolver:
    """Resolves the predicates of one search."""

    def __init__(self, session: Session, snapshot: int | None, scope: tuple[q.Predicate, ...]) -> None:
        self._session = session
        self._snapshot = snapshot
        self._scope = scope
        self._stored_types: frozenset[str] | None = None

    async def predicates(self, predicates: Sequence[q.Predicate]) -> tuple[q.Predicate, ...]:
        """All resolved; what must hold together stands side by side."""
        found: list[q.Predicate] = []
        for predicate in predicates:
            resolved = await self._predicate(predicate)
            found += resolved.parts if isinstance(resolved, q.And) else (resolved,)
        return tuple(found)

    async def _predicate(self, predicate: q.Predicate) -> q.Predicate:
        match predicate:
            case q.And(parts):
                return q.And(await self.predicates(parts))
            case q.Or(parts):
                return _or([await self._predicate(part) for part in parts])
            case q.Not(part):
                return q.Not(await self._predicate(part))
            case q.TokenCode(p, codes):
                return q.NumberIn(p, await self._tokens_of(codes))
            case q.TokenIn(p, values):
                return q.NumberIn(p, await self._stored_tokens(values))
            case q.TokenPrefix():
                return await self._token_prefix(predicate)
            case q.RefersTo():
                return await self._refers_to(predicate)
            case q.ReferredFrom():
                return await self._referred_from(predicate)
            case q.TextContains(_, _, features) if features:
                return replace(predicate, features=await self._rarest_first(features))
            case q.Features(items):
                return q.Features(await self._rarest_first(items))
        return predicate

    async def _tokens_of(self, codes: tuple[str, ...]) -> tuple[int, ...]:
        """A code in whatever system is the tokens there are of it, walked in index order like any token."""
        statement = Statement(self._session.postgresql)
        where = f"{statement.one_of('t.code', codes, 'text')} AND t.system <> {statement.bind(DISPLAY)}"
        rows = await self._session.fetch(*statement.finished(f"SELECT t.v FROM token t WHERE {where}"))
        return tuple(row[0] for row in rows) or NO_TOKEN

    async def _stored_tokens(self, values: tuple[int, ...]) -> tuple[int, ...]:
        """Those of the tokens that some resource has, or had."""
        statement = Statement(self._session.postgresql)
        where = statement.one_of("t.v", values)
        rows = await self._session.fetch(*statement.finished(f"SELECT t.v FROM token t WHERE {where}"))
        return tuple(row[0] for row in rows) or NO_TOKEN

    async def _token_prefix(self, predicate: q.TokenPrefix) -> q.Predicate:
        statement = Statement(self._session.postgresql)
        where = (
            f"{starts_with('t.code', predicate.prefix, statement)} AND t.system = {statement.bind(predicate.system)}"
        )
        sql = f"SELECT t.v FROM token t WHERE {where} LIMIT {FEW + 1}"
        rows = await self._session.fetch(*statement.finished(sql))
        if len(rows) > FEW:
            return predicate
        return q.NumberIn(predicate.p, tuple(row[0] for row in rows) or NO_TOKEN)

    async def _rarest_first(self, items: tuple[int, ...]) -> tuple[int, ...]:
        """SQLite walks the postings of the first feature; PostgreSQL's index sees to that itself."""
        if self._session.postgresql or len(items) == 1:
            return items
        statement = Statement(False)
        counts = [
            f"(SELECT count(*) FROM (SELECT 1 FROM posting o WHERE o.v = {statement.bind(item)} LIMIT {FEW}))"
            for item in items
        ]
        (row,) = await self._session.fetch(*statement.finished(f"SELECT {', '.join(counts)}"))
        return tuple(item for _, item in sorted(zip(row, items, strict=True)))

    # -- chains ----------------------------------------------------------------------------------------------

    async def _refers_to(self, predicate: q.RefersTo) -> q.Predicate:
        stored = [
            (selection, url)
            for selection, url in zip(
                predicate.selections, predicate.urls or (0,) * len(predicate.selections), strict=True
            )
            if selection.resource_type in await self._types()
        ]
        if not stored:
            return q.NumberIn(predicate.ps[0], NO_TOKEN)
        selections = tuple([await self._selection(selection) for selection, _ in stored])
        urls = tuple(url for _, url in stored) if predicate.urls else ()
        known = replace(predicate, selections=selections, urls=urls)
        if urls:
            return known
        inner = [await self._inner(selection) for selection in selections]
        rids = await self._few(inner, "i.rid", "version i ON i.seq = q.seq")
        if rids is None:
            return replace(known, selections=tuple(map(_with_looked_up, selections, inner)))
        return _or([q.NumberIn(p, rids or NO_TOKEN) for p in predicate.ps])

    async def _referred_from(self, predicate: q.ReferredFrom) -> q.Predicate:
        selection = await self._selection(predicate.selection)
        known = replace(predicate, selection=selection)
        if predicate.url is not None:
            return known
        ps = ", ".join(map(str, predicate.ps))
        inner = await self._inner(selection)
        rids = await self._few((inner,), "i.v", f"number i ON i.seq = q.seq AND i.p IN ({ps})")
        return replace(known, selection=_with_looked_up(selection, inner)) if rids is None else q.IdIn(rids)

    async def _selection(self, selection: q.Selection) -> q.Selection:
        """The inner search sees what the outer one may: its scope holds on every link.

        A contained resource is a part of the one that refers to it, of which the scope was asked.
        """
        if selection.resource_type.startswith(MARK):
            return replace(selection, predicates=await self.predicates(selection.predicates))
        return replace(selection, predicates=await self.predicates((*selection.predicates, *self._scope)))

    async def _inner(self, selection: q.Selection) -> Plan | None:
        """How the resources selected are found; None when only by a walk over the type."""
        query = q.Query(selection.resource_type, selection.predicates, snapshot=self._snapshot)
        driver = await narrow_driver(self._session, query)
        return None if driver is None else Plan(query, driver, self._session.postgresql)

    async def _few(self, inner: Sequence[Plan | None], column: str, join: str) -> tuple[int, ...] | None:
        """Values of `column` beside the resources found by the plans, when these are few."""
        found: set[int] = set()
        for plan in inner:
            values = None if plan is None else await self._values(plan, column, join)
            if values is None or len(found := found | values) > FEW:
                return None
        return tuple(found)

    async def _values(self, plan: Plan, column: str, join: str) -> set[int] | None:
        if plan.driver.rows is None or plan.driver.rows > FEW:
            sample = await self._session.fetch(*plan.joined(column, join, SAMPLE))
            if len(sample) < SAMPLE:
                return _known(sample)
            if len(_known(sample)) > SAMPLE // 2:
                return None
        rows = await self._session.fetch(*plan.joined(column, join, FEW + 1))
        if len(rows) <= FEW:
            return _known(rows)
        if len(_known(rows)) > FEW // 2:
            return None
        # Many matches of few resources: asked of each candidate, most would be asked in vain.
        return _known(await self._session.fetch(*plan.joined_once(column, join, FEW + 1)))

    async def _types(self) -> frozenset[str]:
        if self._stored_types is None:
            self._stored_types = await stored_types(self._session)
        return self._stored_types


async def stored_types(session: Session) -> frozenset[str]:
    """Types of which there is something, or was; `#Type` of contained resources."""
    rows = await session.fetch("SELECT s.type FROM type_stat s", ())
    return frozenset(TYPE_NAMES[row[0]] for row in rows)


def _with_looked_up(selection: q.Selection, inner: Plan | None) -> q.Selection:
    """The selection, whose matches are asked of each candidate, with what finds few of them looked up beforehand."""
    if inner is None or inner.driver.rows is None:
        return selection
    few = inner.driver.predicate
    return replace(selection, predicates=tuple([q.LookedUp(p) if p is few else p for p in selection.predicates]))


def _known(rows: Sequence[Sequence[Any]]) -> set[int]:
    return {row[0] for row in rows if row[0] is not None}


def _or(parts: Sequence[q.Predicate]) -> q.Predicate:
    """A disjunction; equalities of one parameter become one."""
    flat: list[Any] = []
    for part in parts:
        flat += part.parts if isinstance(part, q.Or) else (part,)
    merged: dict[int, list[int]] = {}
    others = []
    for part in flat:
        if isinstance(part, q.NumberIn):
            merged.setdefault(part.p, []).extend(part.values)
        else:
            others.append(part)
    found = [q.NumberIn(p, tuple(dict.fromkeys(values))) for p, values in merged.items()] + others
    return found[0] if len(found) == 1 else q.Or(tuple(found))
