"""How a search is carried out: the plan and each statement, as Parameters (a development setting).

The answer holds values of the search, which no log does.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

from fhir_server.errors import Forbidden
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.model.json import encode
from fhir_server.storage.base import ExplainedPlan, ExplainedStatement, Store

HEADER = "x-explain"

Search = Callable[[Server, Request], Awaitable[Response]]


def wants_explanation(server: Server, request: Request) -> bool:
    """Raises Forbidden where it was asked for and is not offered."""
    if request.header(HEADER) != "true":
        return False
    if not server.settings.explain:
        raise Forbidden("X-Explain is for development: start the server with the setting explain (FHIR_EXPLAIN=true).")
    return True


async def explained(server: Server, request: Request, search: Search) -> Response:
    """Parameters in the place of what `search` answers; the search is carried out."""
    reads = server.store.explained()
    started = time.perf_counter()
    answer = await search(replace(server, store=cast("Store", reads)), request)
    elapsed = (time.perf_counter() - started) * 1000
    assert isinstance(answer.body, bytes)
    parameters = [
        _value("milliseconds", "valueDecimal", _rounded(elapsed)),
        _value("bytes", "valueInteger", len(answer.body)),
        *(_plan(one) for one in reads.plans),
        *(_statement(one) for one in reads.statements),
    ]
    return Response(200, encode({"resourceType": "Parameters", "parameter": parameters}))


def _plan(plan: ExplainedPlan) -> dict[str, Any]:
    parts = [
        _value("type", "valueCode", plan.resource_type),
        _value("driver", "valueString", plan.driver),
        _value("rank", "valueCode", plan.rank),
        *(_value("predicate", "valueString", one) for one in plan.predicates),
    ]
    return {"name": "plan", "part": parts}


def _statement(statement: ExplainedStatement) -> dict[str, Any]:
    parts = [
        _value("sql", "valueString", statement.sql),
        _value("milliseconds", "valueDecimal", _rounded(statement.milliseconds)),
        _value("rows", "valueInteger", statement.rows),
    ]
    if statement.plan:
        parts.append(_value("plan", "valueString", statement.plan))
    return {"name": "statement", "part": parts}


def _value(name: str, key: str, value: object) -> dict[str, Any]:
    return {"name": name, key: value}


def _rounded(milliseconds: float) -> Decimal:
    return Decimal(f"{milliseconds:.3f}")
