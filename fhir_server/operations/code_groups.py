"""The most recent Observations of each code (R4 observation-operation-lastn.html).

Codings of one system and code are the same, those of one Observation stand for each other, and so on through all
Observations seen; where there is no code at all the text decides.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import msgspec

from fhir_server.model.dates import period_of
from fhir_server.search.parameters.date import bounds, index_timing
from fhir_server.storage.base import StoredVersion
from fhir_server.storage.rows import IndexRows


class _Coding(msgspec.Struct):
    system: str = ""
    code: str = ""


class _Concept(msgspec.Struct):
    coding: list[_Coding] = []
    text: str = ""

    def keys(self) -> list[Hashable]:
        """What makes it the same as others; a concept that says nothing is like others that do."""
        return [(one.system, one.code) for one in self.coding if one.code] or [self.text]


class _Observation(msgspec.Struct, rename="camel"):
    """The part of an Observation that is looked at: thousands may be walked for one answer."""

    code: _Concept = msgspec.field(default_factory=_Concept)
    effective_date_time: str | None = None
    effective_instant: str | None = None
    effective_period: dict[str, Any] | None = None
    effective_timing: dict[str, Any] | None = None

    def moment(self, time_zone: str) -> int | None:
        """The millisecond by which searches order it: the first that its time can mean."""
        found: tuple[int, int] | None = None
        if text := self.effective_date_time or self.effective_instant:
            found = period_of(text, time_zone)
        elif self.effective_period is not None:
            found = bounds(self.effective_period, time_zone)
        elif self.effective_timing is not None:
            rows = IndexRows()
            index_timing(rows, 0, self.effective_timing, time_zone)
            found = (rows.numbers[0][1], rows.numbers[0][2]) if rows.numbers else None
        return found[0] if found else None


_decode = msgspec.json.Decoder(_Observation).decode


@dataclass(frozen=True, slots=True)
class _Kept:
    number: int
    """How many came before it: its place in the answer."""
    moment: int | None
    version: StoredVersion


@dataclass(slots=True, eq=False)
class _Group:
    keys: list[Hashable]
    kept: list[_Kept]
    """Newest first: `most` of them, and those of the same time as the last."""


class LatestByCode:
    """Takes Observations newest first and keeps `most` of each code."""

    def __init__(self, most: int, time_zone: str) -> None:
        self._most = most
        self._time_zone = time_zone
        self._groups: dict[Hashable, _Group] = {}
        self._seen = 0

    def add(self, version: StoredVersion) -> bool:
        """Whether it is kept, as things stand."""
        observation = _decode(version.body or b"{}")
        kept = _Kept(self._seen, observation.moment(self._time_zone), version)
        self._seen += 1
        group = self._group(observation.code.keys())
        if not self._belongs(group.kept, kept):
            return False
        group.kept.append(kept)
        return True

    def versions(self) -> list[StoredVersion]:
        """All that are kept, newest first."""
        groups = {id(group): group for group in self._groups.values()}.values()
        return [one.version for one in sorted((one for group in groups for one in group.kept), key=_number)]

    def _belongs(self, earlier: list[_Kept], one: _Kept) -> bool:
        """R4: of several with the same effective time, none is left out. What has no time has not the same."""
        if len(earlier) < self._most:
            return True
        return one.moment is not None and one.moment == earlier[self._most - 1].moment

    def _group(self, keys: list[Hashable]) -> _Group:
        """The group of `keys`, which are the same from now on."""
        found = list({id(group): group for key in keys if (group := self._groups.get(key))}.values())
        group = max(found, key=lambda one: len(one.keys)) if found else _Group([], [])
        for other in found:
            if other is not group:
                self._merge(group, other)
        for key in keys:
            if key not in self._groups:
                group.keys.append(key)
                self._groups[key] = group
        return group

    def _merge(self, group: _Group, other: _Group) -> None:
        for key in other.keys:
            self._groups[key] = group
        group.keys += other.keys
        together = sorted((*group.kept, *other.kept), key=_number)
        group.kept = []
        for one in together:
            if self._belongs(group.kept, one):
                group.kept.append(one)


def _number(kept: _Kept) -> int:
    return kept.number
