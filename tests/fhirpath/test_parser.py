"""The grammar of FHIRPath N1 (http://hl7.org/fhirpath/N1/grammar.html) as trees."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fhir_server import spec
from fhir_server.fhirpath.ast import (
    Binary,
    Call,
    Expression,
    External,
    Index,
    Literal,
    Member,
    QuantityLiteral,
    Special,
    TypeTest,
    Unary,
)
from fhir_server.fhirpath.lexer import InvalidExpression
from fhir_server.fhirpath.parser import parse


def shape(node: Expression) -> str:
    """The tree as text, fully bracketed."""
    match node:
        case Literal(kind=kind, value=value):
            return repr(value) if kind == "string" else "{}" if kind == "empty" else str(value)
        case QuantityLiteral(value=value, unit=unit):
            return f"{value} {unit}"
        case External(name=name):
            return f"%{name}"
        case Special(name=name):
            return f"${name}"
        case Member(source=source, name=name):
            return f"{shape(source)}.{name}" if source else name
        case Call(source=source, name=name, arguments=arguments):
            call = f"{name}({', '.join(map(shape, arguments))})"
            return f"{shape(source)}.{call}" if source else call
        case Index(source=source, index=index):
            return f"{shape(source)}[{shape(index)}]"
        case Unary(operator=operator, operand=operand):
            return f"({operator}{shape(operand)})"
        case Binary(operator=operator, left=left, right=right):
            return f"({shape(left)} {operator} {shape(right)})"
        case TypeTest(operator=operator, operand=operand, type_name=type_name):
            return f"({shape(operand)} {operator} {type_name})"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Patient.name.given", "Patient.name.given"),
        ("a | b | c", "((a | b) | c)"),
        ("1 + 2 * 3", "(1 + (2 * 3))"),
        ("(1 + 2) * 3", "((1 + 2) * 3)"),
        ("-1 + 2", "((-1) + 2)"),
        ("-a.b", "(-a.b)"),
        ("a and b or c implies d", "(((a and b) or c) implies d)"),
        ("a or b and c", "(a or (b and c))"),
        ("a = b and c != d", "((a = b) and (c != d))"),
        ("a | b = c", "((a | b) = c)"),
        ("1 < 2 = true", "((1 < 2) = True)"),
        ("a in b | c", "(a in (b | c))"),
        ("a contains b", "(a contains b)"),
        ("a as Quantity", "(a as Quantity)"),
        ("(Observation.value as FHIR.Quantity).unit", "(Observation.value as FHIR.Quantity).unit"),
        ("a is string and b", "((a is string) and b)"),
        ("a & b + c", "((a & b) + c)"),
        ("7 div 2 mod 3", "((7 div 2) mod 3)"),
        ("a !~ b", "(a !~ b)"),
        ("name.where(use = 'official').first()", "name.where((use = 'official')).first()"),
        ("entry[0].resource", "entry[0].resource"),
        ("%resource.id = $this", "(%resource.id = $this)"),
        ("%`ext-id`", "%ext-id"),
        ("text.`div`.exists()", "text.div.exists()"),
        ("{}", "{}"),
        ("iif(a, b, c)", "iif(a, b, c)"),
        ("today() - 3 years", "(today() - 3 years)"),
        ("1.5 'mg'", "1.5 mg"),
        ("item.contains('a')", "item.contains('a')"),
        ("value.is(Quantity)", "value.is(Quantity)"),
        ("a /* note */ . b // end", "a.b"),
    ],
)
def test_operators_bind_as_the_grammar_says(expression: str, expected: str) -> None:
    assert shape(parse(expression)) == expected


@pytest.mark.parametrize(
    ("expression", "kind", "value"),
    [
        ("true", "boolean", True),
        ("1.50", "number", Decimal("1.50")),
        (r"'it\'s \u0041\n'", "string", "it's A\n"),
        ("@2015-02", "date", "2015-02"),
        ("@2015-02-04T14:34:28+09:00", "datetime", "2015-02-04T14:34:28+09:00"),
        ("@2015T", "datetime", "2015T"),
        ("@T14:34", "time", "14:34"),
    ],
)
def test_literals_keep_their_value(expression: str, kind: str, value: object) -> None:
    literal = parse(expression)
    assert isinstance(literal, Literal)
    assert (literal.kind, literal.value) == (kind, value)


def test_positions_are_offsets_in_the_source() -> None:
    tree = parse("  Patient.name = 'x'")
    assert isinstance(tree, Binary)
    assert (tree.left.position, tree.position, tree.right.position) == (10, 15, 17)


@pytest.mark.parametrize(
    ("expression", "column"),
    [
        ("", 1),
        ("a.", 3),
        ("a b", 3),
        ("(a", 3),
        ("a[1", 4),
        ("a +", 4),
        ("'open", 1),
        ("#", 1),
        ("a..b", 3),
        ("f(a,)", 5),
        ("a and", 6),
    ],
)
def test_an_error_names_its_column(expression: str, column: int) -> None:
    with pytest.raises(InvalidExpression, match=f"column {column}"):
        parse(expression)


@pytest.mark.parametrize(
    "expression", ["(" * 5000, "-" * 5000 + "1", "a" + ".b" * 5000, "1" + " + 1" * 5000, "a" * 200_000]
)
def test_hostile_expressions_are_refused(expression: str) -> None:
    with pytest.raises(InvalidExpression):
        parse(expression)


def test_every_search_expression_and_invariant_of_r4_parses() -> None:
    expressions = set()
    for resource_type in spec.RESOURCE_TYPES:
        for parameter in spec.search_parameters(resource_type).values():
            expressions.add(parameter.expression)
            expressions.update(component.expression for component in parameter.components)
        for element in spec.structure(resource_type).elements.values():
            expressions.update(expression for _, _, expression in element.invariants)
    expressions.discard(None)
    assert len(expressions) > 1500
    for expression in expressions:
        parse(expression)
