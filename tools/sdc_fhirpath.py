"""From a scoring rule to FHIRPath that any software of Structured Data Capture (SDC) can run.

Plain N1 (http://hl7.org/fhirpath/N1/) over the answers of `%resource`, the QuestionnaireResponse. Three things that
one might expect otherwise:

- An answer is weighed by its code. SDC's `weight()` is no part of N1, and not every program has it; here the code of
  an option is its raw number as text (the ordinalValue the same number), so `code.toInteger()` is what `weight()` is.
  A not-applicable answer has a code that is no number: empty, as if not answered.
- Variables hold numbers, never items: programs pass on values, and lose what type an element was of.
- A table is a text of cells of one width, read with `substring`: N1 has neither lists with repeats nor maps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction

from fhir_server.instruments.definition import NOT_APPLICABLE, Exact, Instrument, Item, Score, numbers_of
from fhir_server.instruments.formula import Formula
from fhir_server.instruments.rounding import as_decimal
from fhir_server.instruments.rules import Calculation, Categories, Category, Linear, Lookup, Profile, Strata
from tools.sdc_formula import TranslatedFormula

CELLS = 100
"""Of the largest table that is expressed."""
_TAKEN = frozenset(("context", "resource", "rootResource", "questionnaire", "qitem", "ucum", "sct", "loinc"))
_MAXIMUM = "aggregate(iif($total > $this, $total, $this))"


class Translation:
    """The scores of one instrument as variables: `%score<Name>` for each that can be expressed."""

    def __init__(self, instrument: Instrument) -> None:
        self._items = instrument.items
        self.variables: dict[str, str] = {}
        """Expressions by name; each uses those before it only."""
        self.scores: dict[str, Score] = {}
        """Those expressed, by the name of their variable."""
        for score in instrument.scores:
            expression = self._expression(score) if self._expressible(score) else None
            if expression is not None:
                name = score_variable(score.name)
                self._define(name, expression)
                self.scores[name] = score

    def _expressible(self, score: Score) -> bool:
        """A rule known from memory only is not handed to others, nor is what follows from it."""
        needed = {name for name in score.inputs if name.startswith(numbers_of(""))}
        return score.evidence != "memory" and needed <= {numbers_of(known.name) for known in self.scores.values()}

    def _define(self, name: str, expression: str) -> str:
        if name in _TAKEN or self.variables.setdefault(name, expression) != expression:
            raise ValueError(f"%{name} is taken")
        return f"%{name}"

    def _expression(self, score: Score) -> str | None:
        rule = score.rule
        if isinstance(rule, Linear):
            return self._linear(score, rule)
        if isinstance(rule, Categories):
            return self._categories(score, rule)
        if isinstance(rule, Lookup):
            return self._table(score, rule)
        if isinstance(rule, Calculation):
            return self._formula(rule.formula)
        if isinstance(rule, Strata):
            return self._strata(rule)
        assert isinstance(rule, Profile)
        return " + ".join(f"{self._variable(name)}.toString()" for name in rule.inputs)

    def _linear(self, score: Score, rule: Linear) -> str:
        items = [name for name in rule.inputs if name in self._items]
        weights: dict[str, Exact] = dict(zip(rule.inputs, rule.weights or (1,) * len(rule.inputs), strict=True))
        if score.missing and score.missing.evidence != "memory":
            return self._prorated(score, rule, weights, len(items) - score.missing.at_most)
        values = ""
        terms = [_product(weights[name], self._variable(name)) for name in rule.inputs if name not in self._items]
        if len(items) == 1 and not rule.points:
            terms.insert(0, _product(weights[items[0]], self._variable(items[0])))
        elif items:
            values = self._values(score.name, items, lambda item: self._weighted(item, rule, weights[item.link_id]))
            terms.insert(0, _sum(values))
        total = " + ".join(terms)
        if len(terms) > 1 and (rule.mean or rule.multiply != 1):
            total = f"({total})"
        if rule.mean:
            total += f" / {len(rule.inputs)}"
        total = self._finished(total, rule)
        return f"iif({values}.count() = {len(items)}, {total})" if values else total

    def _prorated(self, score: Score, rule: Linear, weights: dict[str, Exact], least: int) -> str:
        """Missing items take the mean of the answered ones."""
        count = len(rule.inputs)
        values = self._values(score.name, list(rule.inputs), self._value)
        enough = f"{values}.count() >= {least}"
        mean = f"{_sum(values)} / {values}.count()"
        if rule.weights is None:
            total = mean if rule.mean else f"{_sum(values)} * {count} / {values}.count()"
            return f"iif({enough}, {self._finished(total, rule)})"
        if rule.mean:
            raise ValueError(f"{score.name}: a weighted mean with a missing rule is not expressed")
        mean = self._define(f"mean{_pascal(score.name)}", f"iif({enough}, {mean})")
        deviations = self._select(
            rule.inputs, lambda item: _product(weights[item.link_id], f"{self._value(item)} - {mean}")
        )
        total = f"({mean} * {_number(sum(weights.values()))} + {_sum(deviations)})"
        return self._finished(total, rule)

    def _finished(self, total: str, rule: Linear) -> str:
        """`total`, a product or in parentheses where it must be, scaled, adjusted and rounded."""
        scaled = _scaled(total, abs(Fraction(rule.multiply)))
        if rule.multiply < 0:
            scaled = f"{_number(rule.add)} - {scaled}"
        elif rule.add:
            scaled += " {} {}".format(*_sign(rule.add))
        for condition, amount in rule.adjustments:
            sign, size = _sign(amount)
            scaled += f" {sign} iif({self._condition(condition)}, {size}, 0)"
        return scaled if rule.places is None else f"({scaled}).round({rule.places})"

    def _categories(self, score: Score, rule: Categories) -> str:
        highest = [
            self._define(f"category{_pascal(category.name)}", self._category(category)) for category in rule.categories
        ]
        first, *others = highest
        there = first + "".join(f".combine({other})" for other in others)
        values = self._define(f"values{_pascal(score.name)}", there)
        spared = score.missing.at_most if score.missing and score.missing.evidence != "memory" else 0
        enough = f"{values}.count() >= {len(highest) - spared}"
        return f"iif({enough}, {_sum(values)} / {values}.count())"

    def _category(self, category: Category) -> str:
        ticked = f"{_of(category.when_any)}.answer.value.where(code = '1').exists()"

        def raised(item: Item) -> str:
            value, floor = self._value(item), _number(category.raise_to)
            return f"iif({value} < {floor} and {ticked}, {floor}, {value})" if category.when_any else value

        return f"{self._select(category.items, raised)}.{_MAXIMUM}"

    def _table(self, score: Score, rule: Lookup) -> str | None:
        table = rule.table
        if len(table.dimensions) > 1 or table.asks_subject or len(table.cells) > CELLS:
            return None
        (axis,) = table.dimensions
        if len(axis.names) == 1:
            return _cell(table.cells, self._variable(axis.names[0]), axis.first)
        values = self._values(score.name, axis.names, self._value)
        return f"iif({values}.count() = {len(axis.names)}, {_cell(table.cells, _sum(values), axis.first)})"

    def _formula(self, formula: Formula) -> str:
        text = self._translated(formula).number()
        return self._guarded(formula.names, text) if "iif(" in text else text

    def _strata(self, rule: Strata) -> str:
        text = ""
        for code, condition in reversed(rule.strata):
            if condition is None:
                text = f"'{code}'"
            else:
                text = f"iif({self._condition(condition)}, '{code}'{', ' + text if text else ''})"
        return self._guarded(rule.inputs, text)

    def _guarded(self, names: Iterable[str], text: str) -> str:
        """A condition that is empty counts as false in iif: it must not be asked."""
        there = " and ".join(f"{self._variable(name)}.exists()" for name in names)
        return f"iif({there}, {text})"

    def _condition(self, formula: Formula) -> str:
        return self._translated(formula).condition()

    def _translated(self, formula: Formula) -> TranslatedFormula:
        return TranslatedFormula(formula, self._variable, self._lowest)

    def _variable(self, name: str) -> str:
        """Of an item (its value) or an earlier score."""
        if name not in self._items:
            return f"%{score_variable(name.removeprefix(numbers_of('')))}"
        first, *rest = name.split("_")
        expression = self._select([name], self._value)
        return self._define(first + "".join(_capital(part) for part in rest), expression)

    def _lowest(self, name: str) -> Exact | None:
        item = self._items.get(name)
        return item.low if item and not item.changes_readings else None

    def _values(self, score: str, items: Sequence[str], value: Callable[[Item], str]) -> str:
        return self._define(f"values{_pascal(score)}", self._select(items, value))

    def _select(self, link_ids: Iterable[str], value: Callable[[Item], str]) -> str:
        """`value` of each of the items that has one."""
        groups: dict[str, list[str]] = {}
        for link_id in link_ids:
            groups.setdefault(value(self._items[link_id]), []).append(link_id)
        # the most frequent needs no condition
        *others, last = sorted(groups, key=lambda text: len(groups[text]))
        chosen = last
        for text in reversed(others):
            chosen = f"iif({_among(groups[text])}, {text}, {chosen})"
        items = _of([link_id for ids in groups.values() for link_id in ids])
        return f"{items}.{chosen}" if chosen == "answer.value" else f"{items}.select({chosen})"

    def _weighted(self, item: Item, rule: Linear, weight: Exact) -> str:
        points = rule.points.get(item.link_id) if rule.points else None
        value = self._value(item)
        return _product(weight, value if points is None else _looked_up(points, value))

    def _value(self, item: Item) -> str:
        """What the scores reckon with, of the response's item in focus."""
        reading = _reading(item)
        if item.recode is not None:
            return _looked_up(item.recode, reading)
        return reading if item.reverse_from is None else f"{_number(item.reverse_from)} - {reading}"


def score_variable(name: str) -> str:
    """Letters and digits only: Expression.name is an id, which has no `_`, and FHIRPath takes no `-` or `.`."""
    return f"score{_pascal(name)}"


def _pascal(name: str) -> str:
    return "".join(_capital(part) for part in re.split(r"\W|_", name))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _reading(item: Item) -> str:
    if item.type == "quantity":
        return f"answer.value.where(code = '{item.unit}').value"
    if item.codings is None:
        return "answer.value"
    numbers = {code: reading for (_, code), reading in item.codings.items() if reading is not NOT_APPLICABLE}
    if any(code != str(reading) for code, reading in numbers.items()):
        raise ValueError(f"{item.link_id}: a code is not its number")
    return "answer.value.code.toInteger()"


def _of(link_ids: Sequence[str]) -> str:
    return f"%resource.repeat(item).where({_among(link_ids)})"


def _among(link_ids: Sequence[str]) -> str:
    if len(link_ids) == 1:
        return f"linkId = '{link_ids[0]}'"
    listed = " | ".join(f"'{link_id}'" for link_id in link_ids)
    return f"linkId in ({listed})"


def _sum(values: str) -> str:
    return f"{values}.aggregate($this + $total, 0)"


def _product(weight: Exact, value: str) -> str:
    if weight == 1:
        return value
    return f"{_number(weight)} * {f'({value})' if ' - ' in value else value}"


def _scaled(text: str, factor: Fraction) -> str:
    times = f" * {factor.numerator}" if factor.numerator != 1 else ""
    return text + times + (f" / {factor.denominator}" if factor.denominator != 1 else "")


def _sign(number: Exact) -> tuple[str, str]:
    return ("-", _number(-number)) if number < 0 else ("+", _number(number))


def _number(value: Exact) -> str:
    number = as_decimal(value)
    if number != value:
        raise ValueError(f"{value} is no decimal")
    return f"{number:f}"


def _looked_up(numbers: Mapping[Exact, Exact], index: str) -> str:
    """The number of each of consecutive whole ones."""
    first = min(numbers)
    return _cell([numbers[first + place] for place in range(len(numbers))], index, first)


def _cell(numbers: Sequence[Exact | None], index: str, first: Exact) -> str:
    """The number that `index` names, the first one being `first`; empty where there is none."""
    cells = [None if number is None else as_decimal(number) for number in numbers]
    places = max(-int(cell.as_tuple().exponent) for cell in cells if cell is not None)
    width = max(len(f"{cell:.{places}f}") for cell in cells if cell is not None)
    text = " ".join("-" * width if cell is None else f"{cell:0{width}.{places}f}" for cell in cells)
    start = "({} {} {})".format(index, *_sign(-first)) if first else index
    return f"'{text}'.substring({start} * {width + 1}, {width}).{'toDecimal' if places else 'toInteger'}()"
