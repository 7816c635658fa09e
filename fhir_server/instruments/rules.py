"""The rules by which scores follow from items and earlier scores (docs/instruments.md, "Rules")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from fhir_server.instruments.definition import Absence, Exact, Subject
from fhir_server.instruments.formula import Formula, UndefinedValueError, exact
from fhir_server.instruments.rounding import round_half_up
from fhir_server.instruments.tables import Table


@dataclass(frozen=True, slots=True)
class Linear:
    """(sum of weight x value [/ count]) x multiply / divide + add, and what the adjustments add."""

    inputs: tuple[str, ...]
    mean: bool = False
    weights: tuple[Exact, ...] | None = None
    """In the order of `inputs`; None: all 1."""
    points: Mapping[str, Mapping[Exact, Exact]] | None = None
    """What this score alone counts an item's value as."""
    multiply: Exact = 1
    """multiply / divide of the definition."""
    add: Exact = 0
    adjustments: tuple[tuple[Formula, Exact], ...] = ()
    places: int | None = None
    """Decimals the published rule rounds to on the way."""

    def value(self, values: Mapping[str, Exact], subject: Subject) -> Exact:
        terms = [values[name] for name in self.inputs]
        if self.points is not None:
            terms = [
                self.points[name][term] if name in self.points else term
                for name, term in zip(self.inputs, terms, strict=True)
            ]
        if self.weights is not None:
            terms = [weight * term for weight, term in zip(self.weights, terms, strict=True)]
        total: Exact = sum(terms)
        if self.mean:
            total = Fraction(total) / len(terms)
        if self.multiply != 1 or self.add:
            total = total * self.multiply + self.add
        for condition, amount in self.adjustments:
            if condition(values):
                total += amount
        if self.places is not None:
            return exact(round_half_up(total, self.places))
        return total if type(total) is int else exact(total)


@dataclass(frozen=True, slots=True)
class Category:
    """A group of items that counts as its highest one, raised where an aid or help is used."""

    name: str
    items: tuple[str, ...]
    raise_to: Exact
    when_any: tuple[str, ...]

    def value(self, values: Mapping[str, Exact]) -> Exact | None:
        """None when no item is answered. A tick-box left alone is not ticked."""
        answered = [values[item] for item in self.items if item in values]
        if not answered:
            return None
        highest = max(answered)
        return max(highest, self.raise_to) if any(values.get(name) for name in self.when_any) else highest


@dataclass(frozen=True, slots=True)
class Categories:
    """The mean of the categories that have an answer."""

    categories: tuple[Category, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(item for category in self.categories for item in category.items)

    @property
    def aids(self) -> tuple[str, ...]:
        """The tick-boxes that raise a category, each once."""
        return tuple(dict.fromkeys(name for category in self.categories for name in category.when_any))

    def value(self, values: Mapping[str, Exact], subject: Subject) -> Exact:
        answered = [value for category in self.categories if (value := category.value(values)) is not None]
        return exact(Fraction(sum(answered)) / len(answered))


@dataclass(frozen=True, slots=True)
class Lookup:
    """A cell of a published table."""

    table: Table

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.table.inputs

    @property
    def asks_subject(self) -> bool:
        return self.table.asks_subject

    def value(self, values: Mapping[str, Exact], subject: Subject) -> Exact | Absence:
        return self.table.cell(values, subject)


@dataclass(frozen=True, slots=True)
class Calculation:
    """A formula."""

    formula: Formula

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.formula.names

    def value(self, values: Mapping[str, Exact], subject: Subject) -> Exact | Absence:
        try:
            return exact(self.formula(values))
        except UndefinedValueError as undefined:
            return Absence("undefined", f"The formula {self.formula.text} has no value here: {undefined}.")


@dataclass(frozen=True, slots=True)
class Strata:
    """The first stratum whose condition holds; one without a condition takes the rest."""

    strata: tuple[tuple[str, Formula | None], ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        names = [name for _, condition in self.strata if condition for name in condition.names]
        return tuple(dict.fromkeys(names))

    def value(self, values: Mapping[str, Exact], subject: Subject) -> str | Absence:
        for code, condition in self.strata:
            if condition is None or condition(values):
                return code
        return Absence("undefined", "No stratum's condition holds.")


@dataclass(frozen=True, slots=True)
class Profile:
    """The readings side by side, as 11223 of five levels."""

    inputs: tuple[str, ...]

    def value(self, values: Mapping[str, Exact], subject: Subject) -> str:
        return "".join(str(values[name]) for name in self.inputs)
