"""Filtering and projection (http://hl7.org/fhirpath/N1/#filtering-and-projection), and aggregate."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from fhir_server.fhirpath import type_tests
from fhir_server.fhirpath.ast import Call, Expression, Special, Unary, nodes_of
from fhir_server.fhirpath.code import Code, Run, Scope, Truth
from fhir_server.fhirpath.equality import key, order
from fhir_server.fhirpath.evaluation import Evaluation, EvaluationError
from fhir_server.fhirpath.functions.registry import Function
from fhir_server.fhirpath.node import Item
from fhir_server.fhirpath.values import describe

if TYPE_CHECKING:
    from fhir_server.fhirpath.compiler import Compiler


def criterion(compiler: Compiler, call: Call, scope: Scope) -> tuple[Run, Truth]:
    """The items of the source in the cheapest form, and the test of one of them."""
    source = compiler.source(call, scope)
    body = compiler.body_scope(source, *call.arguments)
    truth = compiler.compile(call.arguments[0], body).truth()
    return source.raw if body.raw and source.raw is not None else source.items(), truth


def where(compiler: Compiler, call: Call, scope: Scope) -> Code:
    source = compiler.source(call, scope)
    body = compiler.body_scope(source, *call.arguments)
    condition = call.arguments[0]
    counts = _uses(condition, "index")

    def over(run: Run, inner: Scope) -> Run:
        truth = compiler.compile(condition, inner).truth()

        def chosen(evaluation: Evaluation, this: Any) -> list[Any]:
            found = run(evaluation, this)
            if not found:
                return found
            evaluation.charge(len(found))
            return [item for item in found if truth(evaluation, item)]

        def chosen_with_index(evaluation: Evaluation, this: Any) -> list[Any]:
            before, out = evaluation.index, []
            found = run(evaluation, this)
            evaluation.charge(len(found))
            for n, item in enumerate(found):
                evaluation.index = n
                if truth(evaluation, item):
                    out.append(item)
            evaluation.index = before
            return out

        return chosen_with_index if counts else chosen

    if not body.raw or source.raw is None:
        return Code(source.types, items=over(source.items(), body), ordered=source.ordered)
    return Code(
        source.types,
        raw=over(source.raw, body),
        items_later=lambda: over(source.items(), Scope(source.types, raw=False)),
        ordered=source.ordered,
    )


def _uses(node: Expression, special: str) -> bool:
    return any(isinstance(each, Special) and each.name == special for each in nodes_of(node))


def _select(compiler: Compiler, call: Call, scope: Scope) -> Code:
    source = compiler.source(call, scope)
    body = compiler.body_scope(source, *call.arguments)
    projection = compiler.compile(call.arguments[0], body)
    run = source.raw if body.raw and source.raw is not None else source.items()

    def over(project: Run) -> Run:
        def projected(evaluation: Evaluation, this: Any) -> list[Any]:
            before, out = evaluation.index, []
            for n, item in enumerate(run(evaluation, this)):
                evaluation.index = n
                out += project(evaluation, item)
                evaluation.charge(1)
            evaluation.index = before
            return evaluation.keep(out)

        return projected

    raw = over(projection.raw) if projection.raw is not None and body.raw else None
    return Code(projection.types, raw=raw, items_later=lambda: over(projection.items()), ordered=source.ordered)


def _repeat(compiler: Compiler, call: Call, scope: Scope) -> Code:
    """The projection of the items, of what that gives, and so on; each item once."""
    source = compiler.source(call, scope)
    project = compiler.compile(call.arguments[0], Scope(None, raw=False)).items()
    items = source.items()

    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        out: list[Item] = []
        seen: set[Any] = set()
        pending = items(evaluation, this)
        while pending:
            found: list[Item] = []
            for item in pending:
                for each in project(evaluation, item):
                    mark = key(each)
                    evaluation.charge(1)
                    if mark not in seen:
                        seen.add(mark)
                        found.append(each)
            out += found
            evaluation.keep(out)
            pending = found
        return out

    return Code(None, items=run)


def _repeat_all(compiler: Compiler, call: Call, scope: Scope) -> Code:
    """Like repeat, but equal items are all kept."""
    items = compiler.source(call, scope).items()
    project = compiler.compile(call.arguments[0], Scope(None, raw=False)).items()

    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        out: list[Item] = []
        pending = items(evaluation, this)
        while pending:
            pending = [each for item in pending for each in project(evaluation, item)]
            out += pending
            evaluation.keep(out)
        return out

    return Code(None, items=run)


def _aggregate(compiler: Compiler, call: Call, scope: Scope) -> Code:
    source = compiler.source(call, scope)
    body = compiler.body_scope(source, call.arguments[0])
    step = compiler.compile(call.arguments[0], body).items()
    start = compiler.compile(call.arguments[1], scope).items() if len(call.arguments) > 1 else None
    items = source.raw if body.raw and source.raw is not None else source.items()

    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        before, index = evaluation.total, evaluation.index
        total = start(evaluation, this) if start is not None else []
        for n, item in enumerate(items(evaluation, this)):
            evaluation.total, evaluation.index = total, n
            total = step(evaluation, item)
            evaluation.charge(1 + len(total))
        evaluation.total, evaluation.index = before, index
        return total

    return Code(None, items=run)


def _of_type(compiler: Compiler, call: Call, scope: Scope) -> Code:
    source = compiler.source(call, scope)
    return type_tests.of_type(source, type_tests.argument_type(compiler, call.arguments[0]))


def _as(compiler: Compiler, call: Call, scope: Scope) -> Code:
    source = compiler.source(call, scope)
    return type_tests.as_type(source, type_tests.argument_type(compiler, call.arguments[0]), call.position)


def _is(compiler: Compiler, call: Call, scope: Scope) -> Code:
    wanted = type_tests.argument_type(compiler, call.arguments[0])
    return type_tests.type_test(compiler, scope, call.source, wanted, call.position)


def _sort(compiler: Compiler, call: Call, scope: Scope) -> Code:
    """By the items themselves or by keys; a key with `-` in front sorts downwards, one without a value comes last."""
    source = compiler.source(call, scope)
    items = source.items()
    inner = Scope(source.types, raw=False)
    keys = []
    for argument in call.arguments:
        descending = isinstance(argument, Unary) and argument.operator == "-"
        by = argument.operand if isinstance(argument, Unary) and descending else argument
        keys.append((compiler.compile(by, inner).scalar(), descending))
    if not keys:
        keys.append((compiler.this(inner).scalar(), False))
    position = call.position

    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        found = items(evaluation, this)
        ranked = [([by(evaluation, item) for by, _ in keys], item) for item in found]

        def before(one: tuple[list[Any], Item], other: tuple[list[Any], Item]) -> int:
            evaluation.charge(1)
            for (_, descending), a, b in zip(keys, one[0], other[0], strict=True):
                answer = (a is None) - (b is None) if a is None or b is None else order(a, b) or 0
                if answer:
                    return -answer if descending else answer
            return 0

        try:
            return [item for _, item in sorted(ranked, key=functools.cmp_to_key(before))]
        except EvaluationError as error:
            raise error.placed(position) from None

    return Code(source.types, items=run)


def _iif(compiler: Compiler, call: Call, scope: Scope) -> Code:
    """Only the branch that is chosen runs. On an input, `$this` is its only item."""
    if call.source is None:
        return _choice(compiler, call, scope)
    items = compiler.source(call, scope).items()
    types = compiler.source(call, scope).types
    chosen = _choice(compiler, call, Scope(types or None, raw=False)).items()
    position = call.position

    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        found = items(evaluation, this)
        if len(found) > 1:
            raise EvaluationError(f"iif() takes one item, there are {len(found)}").placed(position)
        return chosen(evaluation, found[0] if found else None)

    return Code(None, items=run)


def _choice(compiler: Compiler, call: Call, scope: Scope) -> Code:
    condition = compiler.compile(call.arguments[0], scope)
    if compiler.strict and condition.types and any(info.system != "boolean" for info in condition.types):
        raise compiler.invalid("iif() needs a Boolean criterion", call.position)
    test = condition.scalar()
    then = compiler.compile(call.arguments[1], scope)
    otherwise = compiler.compile(call.arguments[2], scope) if len(call.arguments) > 2 else None
    yes, no = then.items(), otherwise.items() if otherwise is not None else None
    position = call.position

    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        try:
            answer = test(evaluation, this)
        except EvaluationError as error:
            raise error.placed(position) from None
        if answer is True:
            return yes(evaluation, this)
        if answer is not None and answer is not False:
            raise EvaluationError(f"iif() needs a Boolean criterion, not {describe(answer)}").placed(position)
        return no(evaluation, this) if no is not None else []

    types = None
    if then.types is not None and otherwise is not None and otherwise.types is not None:
        types = tuple(dict.fromkeys(then.types + otherwise.types)) or None
    return Code(types, items=run)


FUNCTIONS = {
    "where": Function(1, 1, where),
    "select": Function(1, 1, _select),
    "repeat": Function(1, 1, _repeat),
    "repeatAll": Function(1, 1, _repeat_all),
    "ofType": Function(1, 1, _of_type),
    "as": Function(1, 1, _as),
    "is": Function(1, 1, _is),
    "aggregate": Function(1, 2, _aggregate),
    "sort": Function(0, 16, _sort),
    "iif": Function(2, 3, _iif),
}
