"""Resources whose index follows from their body by a rule of these tests: `check` can say what should be there."""

from __future__ import annotations

import json

from fhir_server.model.identity import rid, token
from fhir_server.storage.base import Draft, Store
from fhir_server.storage.rows import IndexRows
from tests.storage.drafts import CODE, DATE, DAY, IDENTIFIER, VALUE, draft

SYSTEM = "http://loinc.org"
COMPOSITE = VALUE + 1


def rows_of(body: bytes) -> IndexRows:
    """The index of these tests' resources: everything follows from `value`, a day since 1970."""
    resource = json.loads(body)
    if resource["resourceType"] != "Observation":
        return IndexRows()
    value = resource["value"]
    low, high = value * DAY, (value + 2) * DAY - 1
    return IndexRows(
        k=low,
        k_high=high,
        numbers=[(CODE, token(SYSTEM, f"c{value}"), 0), (VALUE, value, 7), (DATE, low, high)],
        texts=[(IDENTIFIER, f"i{value}", 0)],
        composites=[(COMPOSITE, token(SYSTEM, f"c{value}"), value, value, "")],
        features=[value, -value - 1],
        tokens=[(token(SYSTEM, f"c{value}"), SYSTEM, f"c{value}")],
        compartments=[rid("Patient", "p1")],
    )


def observation(logical_id: str, value: int) -> Draft:
    resource = {"resourceType": "Observation", "id": logical_id, "value": value}
    return draft(resource, rows_of(json.dumps(resource).encode()))


async def findings(store: Store) -> set[tuple[str, str]]:
    """What `check` finds: (resource, kind)."""
    return {(finding.resource, finding.kind) async for finding in store.check(rows_of)}
