"""Search expressions as paths of plain dictionary steps, with R4's types resolved (R4 searchparameter.html).

R4's search expressions use a small part of FHIRPath: members, unions, `as`/`ofType`, `where` with an
equality or `resolve() is`, `extension()`, an index and one boolean test. Each becomes a `Path`: steps over
the JSON and the type of the element at its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from fhir_server.fhirpath.ast import Binary, Call, Expression, External, Index, Literal, Member, TypeTest
from fhir_server.fhirpath.lexer import InvalidExpression
from fhir_server.search.elements import Element, children, root, type_and_bases


@dataclass(frozen=True, slots=True)
class Step:
    """One move: kind `each` (all items of a list), `one` (a single value), `first` (of a list) or `equal` (a test)."""

    kind: str
    key: str
    value: str = ""
    """What `equal` compares with."""


PRESENT = "present"
"""Type of a path whose value is whether an element is there and not false (Patient.deceased)."""


@dataclass(frozen=True, slots=True)
class Path:
    """Where values are (`steps`), what they are (`element`), and which of them count (`only`)."""

    steps: tuple[Step, ...]
    element: Element
    only: str = ""
    """The type a reference must have (`resolve() is`), or the system a ContactPoint must have."""

    @property
    def type_name(self) -> str:
        return self.element.type_name


def paths(expression: Expression, resource_type: str) -> list[Path]:
    """The paths of `expression` that start at `resource_type`. Raises InvalidExpression for other FHIRPath."""
    return [
        path for term in union(expression) if _starts_at(term, resource_type) for path in _walk(term, resource_type)
    ]


def relative_paths(expression: Expression, context: Path) -> list[Path]:
    """The paths of a composite's component, which starts at the element `context`."""
    return [path for term in union(expression) for path in _walk(term, "", replace(context, steps=()))]


def union(expression: Expression) -> Iterator[Expression]:
    """The terms of `a | b | c`."""
    if isinstance(expression, Binary) and expression.operator == "|":
        yield from union(expression.left)
        yield from union(expression.right)
    else:
        yield expression


def starts_at_resource(expression: Expression) -> bool:
    """Whether a component is evaluated from the resource (`%resource.`) instead of the composite's element."""
    source = _source(expression)
    while source is not None:
        expression, source = source, _source(source)
    return isinstance(expression, External) and expression.name == "resource"


def _source(node: Expression) -> Expression | None:
    match node:
        case Member(source=source) | Call(source=source) | Index(source=source):
            return source
        case TypeTest(operand=operand):
            return operand
        case Binary(operator="and", left=left):
            return left
    return None


def _starts_at(term: Expression, resource_type: str) -> bool:
    source = _source(term)
    while source is not None:
        term, source = source, _source(source)
    if isinstance(term, External):
        return term.name == "resource"
    # InsurancePlan.name is written `name | alias`, without the type in front.
    return isinstance(term, Member) and (
        term.name in (resource_type, "Resource", "DomainResource") or term.name[:1].islower()
    )


def _walk(node: Expression, resource_type: str, context: Path | None = None) -> list[Path]:
    match node:
        case Member(source=None, name=name):
            start = context or Path((), root(resource_type))
            return [start] if context is None and name[:1].isupper() else list(_member(start, name))
        case External(name="resource"):
            return [Path((), root(resource_type))] if resource_type else _refuse(node)
        case Member(source=source, name=name) if source is not None:
            return [path for parent in _walk(source, resource_type, context) for path in _member(parent, name)]
        case TypeTest(operator="as", operand=operand, type_name=type_name):
            return _of_type(_walk(operand, resource_type, context), type_name)
        case Index(source=source, index=Literal(kind="number", value=value)) if value == 0:
            return [_first(path) for path in _walk(source, resource_type, context)]
        case Call(source=source) if source is not None:
            return _call(node, _walk(source, resource_type, context))
        case Binary(operator="and", left=Call(name="exists", source=source)) if source is not None:
            return [_presence(_walk(source, resource_type, context))]
    return _refuse(node)


def _call(call: Call, sources: list[Path]) -> list[Path]:
    match call:
        case Call(name="as" | "ofType", arguments=(Member(source=None, name=type_name),)):
            return _of_type(sources, type_name)
        case Call(name="where", arguments=(condition,)):
            return [_where(path, condition) for path in sources]
        case Call(name="extension", arguments=(Literal(kind="string", value=str(url)),)):
            return [_extension(path, url) for path in sources]
    return _refuse(call)


def _where(path: Path, condition: Expression) -> Path:
    match condition:
        case TypeTest(operator="is", operand=Call(source=None, name="resolve"), type_name=type_name):
            return replace(path, only=type_name)
        case Binary(
            operator="=", left=Member(source=None, name="system"), right=Literal(kind="string", value=str(value))
        ) if path.type_name == "ContactPoint":
            return replace(path, only=value)
        case Binary(operator="=", left=Member(source=None, name=name), right=Literal(kind="string", value=str(value))):
            return replace(path, steps=(*path.steps, Step("equal", name, value)))
    return _refuse(condition)[0]


def _extension(path: Path, url: str) -> Path:
    steps = (*path.steps, Step("each", "extension"), Step("equal", "url", url))
    (extension,) = children(path.element, "extension")
    return Path(steps, extension)


def _member(parent: Path, name: str) -> Iterator[Path]:
    for element in children(parent.element, name):
        step = Step("each" if element.many else "one", element.key)
        yield Path((*parent.steps, step), element, parent.only)


def _of_type(candidates: list[Path], type_name: str) -> list[Path]:
    # R4's composites write `as(DateTime)`: types are compared without regard to case.
    wanted = type_name.lower()
    return [path for path in candidates if any(name.lower() == wanted for name in type_and_bases(path.type_name))]


def _first(path: Path) -> Path:
    *before, last = path.steps
    return replace(path, steps=(*before, Step("first", last.key)))


def _presence(candidates: list[Path]) -> Path:
    keys = " ".join(path.steps[-1].key for path in candidates)
    steps = candidates[0].steps[:-1]
    return Path(steps, Element(PRESENT, keys, many=False, path=""))


def _refuse(node: Expression) -> list[Path]:
    raise InvalidExpression(
        f"Search cannot follow this FHIRPath at column {node.position + 1} of the expression.", code="not-supported"
    )
