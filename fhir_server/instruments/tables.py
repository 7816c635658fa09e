"""Published tables that turn answers, raw scores, sex and age into a value (docs/instruments.md, "Tables")."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fhir_server.instruments.definition import Absence, Evidence, Exact, Subject, numbers_of
from fhir_server.instruments.formula import exact


@dataclass(frozen=True, slots=True)
class Dimension:
    """One axis of a table."""

    kind: Literal["input", "sex", "age"]
    names: tuple[str, ...]
    """Of an input: linkIds, or `score.<name>`; of several the sum."""
    first: int
    """Of an input: the number of the first place."""
    size: int
    steps: tuple[Any, ...] = ()
    """The sexes, or the ages at which bands start."""

    def place(self, values: Mapping[str, Exact], subject: Subject) -> int | Absence:
        """Where on this axis the patient stands."""
        if self.kind == "sex":
            if subject.sex not in self.steps:
                return Absence("subject-unknown", f"The table needs the patient's sex ({' or '.join(self.steps)}).")
            return self.steps.index(subject.sex)
        if self.kind == "age":
            return self._band(subject.age)
        value = sum(values[name] for name in self.names)
        if isinstance(value, int) and self.first <= value < self.first + self.size:
            return value - self.first
        return Absence("not-in-table", f"The table has no row for {' + '.join(self.names)} = {value}.")

    def _band(self, age: tuple[int, int] | None) -> int | Absence:
        if age is None:
            return Absence("subject-unknown", "The table needs the patient's age at the time of the answers.")
        youngest, oldest = (bisect_right(self.steps, years) - 1 for years in age)
        if youngest != oldest:
            return Absence("subject-unknown", "The birth date leaves open which age band of the table holds.")
        if youngest < 0:
            return Absence("not-in-table", f"The table begins at the age of {self.steps[0]}.")
        return youngest


@dataclass(frozen=True, slots=True)
class Table:
    """Cells in row-major order: the last dimension runs fastest."""

    id: str
    source: str
    evidence: Evidence
    dimensions: tuple[Dimension, ...]
    cells: tuple[Exact | None, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(name for axis in self.dimensions if axis.kind == "input" for name in axis.names)

    @property
    def asks_subject(self) -> bool:
        return any(dimension.kind != "input" for dimension in self.dimensions)

    def cell(self, values: Mapping[str, Exact], subject: Subject) -> Exact | Absence:
        index = 0
        for dimension in self.dimensions:
            place = dimension.place(values, subject)
            if isinstance(place, Absence):
                return place
            index = index * dimension.size + place
        cell = self.cells[index]
        if cell is None:
            return Absence("not-in-table", f"Table {self.id} gives no value here: its sources disagree or have none.")
        return cell


def table_of(document: dict[str, Any]) -> Table:
    """The table of a checked tables/*.json. Raises ValueError when the cells do not fill the dimensions."""
    dimensions = tuple(_dimension(axis) for axis in document["dimensions"])
    size = 1
    for dimension in dimensions:
        size *= dimension.size
    if size != len(document["values"]):
        raise ValueError(f"$.values: the dimensions have {size} cells, and {len(document['values'])} are given")
    cells = tuple(None if value is None else exact(value) for value in document["values"])
    return Table(document["id"], document["source"], document["evidence"], dimensions, cells)


def _dimension(axis: dict[str, Any]) -> Dimension:
    if "sex" in axis:
        return Dimension("sex", (), 0, len(axis["sex"]), tuple(axis["sex"]))
    if "age" in axis:
        return Dimension("age", (), 0, len(axis["age"]), tuple(axis["age"]))
    names = axis.get("sum") or [axis["item"] if "item" in axis else numbers_of(axis["score"])]
    return Dimension("input", tuple(names), axis["from"], axis["to"] - axis["from"] + 1)
