"""The shipped EQ-5D-5L tables cell by cell: the same numbers as in the published ones.

The digests are of the value tables as distributed with the R package eq5d (data of van Hout 2012,
doi:10.1016/j.jval.2012.02.008, and of the NICE DSU mapping, doi:10.1007/s40273-022-01218-7), one line a cell in the
order of the keys, taken from those files apart from the conversion into the shipped form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from itertools import product
from typing import Any

from tests.instruments.responses import QUESTIONNAIRES
from tools.golden.eq5d import DIMENSIONS
from tools.golden.vectors import exact

CROSSWALK = "bc8a0b7b21a6c8581c79e51601c69dd2a4ac85478181d3d5a12a8700681cb365"
DSU_MAPPING = "87d3fb93edd2baaa5c91e4a8bbef0fd50f8a206d334e5b37570c71c8399230ba"
AGES = ["18", "35", "45", "55", "65"]


def cells(name: str) -> dict[tuple[str, ...], str]:
    """Of a shipped table, by state, then age band and sex where it has them."""
    text = (QUESTIONNAIRES / "eq-5d-5l" / "tables" / f"{name}.json").read_text()
    table = json.loads(text, parse_float=Decimal)
    axes = dict(axis(dimension) for dimension in table["dimensions"])
    order = [*DIMENSIONS, *(name for name in ("age", "sex") if name in axes)]
    keys = [dict(zip(axes, key, strict=True)) for key in product(*axes.values())]
    found = {}
    for key, value in zip(keys, table["values"], strict=True):
        found["".join(key[name] for name in DIMENSIONS), *(key[name] for name in order[5:])] = exact(value)
    return found


def axis(dimension: dict[str, Any]) -> tuple[str, list[str]]:
    """What looks a cell up, and its possible values in the order of the table."""
    if "item" in dimension:
        return dimension["item"], [str(level) for level in range(dimension["from"], dimension["to"] + 1)]
    (name,) = dimension
    return name, [str(value) for value in dimension[name]]


def digest(found: dict[tuple[str, ...], str]) -> str:
    lines: Iterator[str] = (f"{' '.join(key)} {value}\n" for key, value in sorted(found.items()))
    return sha256("".join(lines).encode()).hexdigest()


def test_the_crosswalk() -> None:
    found = cells("uk-crosswalk")
    assert len(found) == 5**5
    assert found["21111",] == "0.877"
    assert digest(found) == CROSSWALK


def test_the_dsu_mapping() -> None:
    found = cells("uk-dsu")
    assert len(found) == 5**5 * 2 * len(AGES)
    assert {age for _, age, _ in found} == set(AGES)
    assert found["21354", "45", "female"] == "0.135398"
    assert digest(found) == DSU_MAPPING
