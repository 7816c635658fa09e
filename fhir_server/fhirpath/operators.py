"""Operators (http://hl7.org/fhirpath/N1/#operations): equality, order, boolean logic, collections, arithmetic."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fhir_server.fhirpath import arithmetic, collections
from fhir_server.fhirpath.ast import Binary, Unary
from fhir_server.fhirpath.code import Code, Scalar, Scope, Truth
from fhir_server.fhirpath.equality import equal, equal_collections, equivalent, equivalent_collections, order
from fhir_server.fhirpath.evaluation import Evaluation, EvaluationError
from fhir_server.fhirpath.types import SYSTEM

if TYPE_CHECKING:
    from fhir_server.fhirpath.compiler import Compiler

BOOLEAN = (SYSTEM["Boolean"],)


def located(run: Scalar, position: int) -> Scalar:
    """`run`, whose errors say where they come from."""

    def placed(evaluation: Evaluation, this: Any) -> Any:
        try:
            return run(evaluation, this)
        except EvaluationError as error:
            raise error.placed(position) from None

    return placed


def unary(compiler: Compiler, node: Unary, scope: Scope) -> Code:
    operand = compiler.compile(node.operand, scope)
    value = operand.scalar()
    negative = node.operator == "-"

    def run(evaluation: Evaluation, this: Any) -> Any:
        return arithmetic.signed(value(evaluation, this), negative=negative)

    return Code(operand.types, scalar=located(run, node.position))


def binary(compiler: Compiler, node: Binary, scope: Scope) -> Code:
    return _COMPILE[node.operator](compiler, node, scope)


def _truths(compiler: Compiler, node: Binary, scope: Scope) -> tuple[Truth, Truth, bool]:
    """Both operands, and whether they need no evaluation."""
    left, right = compiler.compile(node.left, scope), compiler.compile(node.right, scope)
    pure = left.pure and right.pure and left.is_single and right.is_single
    return _operand(left, node.position), _operand(right, node.position), pure


def _operand(code: Code, position: int) -> Truth:
    """What is single by construction finds no several items to complain of."""
    return code.truth() if code.is_single else located(code.truth(), position)


def _decided_by(decisive: bool, answer: bool) -> Callable[[Compiler, Binary, Scope], Code]:
    """`and`, `or`, `implies`: a left operand that is `decisive` settles the `answer`, and so does a right one that is
    that answer itself; else the right one counts, unless the left one is empty (FHIRPath N1, boolean logic)."""
    open_ended = not decisive

    def compile_one(compiler: Compiler, node: Binary, scope: Scope) -> Code:
        left, right, pure = _truths(compiler, node, scope)

        def run(evaluation: Evaluation, this: Any) -> bool | None:
            a = left(evaluation, this)
            if a is decisive:
                return answer
            b = right(evaluation, this)
            return b if a is open_ended or b is answer else None

        return Code(BOOLEAN, truth=run, pure=pure)

    return compile_one


def _xor(compiler: Compiler, node: Binary, scope: Scope) -> Code:
    left, right, pure = _truths(compiler, node, scope)

    def run(evaluation: Evaluation, this: Any) -> bool | None:
        a, b = left(evaluation, this), right(evaluation, this)
        return None if a is None or b is None else a is not b

    return Code(BOOLEAN, truth=run, pure=pure)


def _equal(compiler: Compiler, node: Binary, scope: Scope) -> Code:
    return Code(BOOLEAN, truth=equality(compiler, node, scope))


def _not_equal(compiler: Compiler, node: Binary, scope: Scope) -> Code:
    same = equality(compiler, node, scope)

    def run(evaluation: Evaluation, this: Any) -> bool | None:
        answer = same(evaluation, this)
        return answer if answer is None else not answer

    return Code(BOOLEAN, truth=run)


def equality(compiler: Compiler, node: Binary, scope: Scope) -> Truth:
    left, right = compiler.compile(node.left, scope), compiler.compile(node.right, scope)
    for code, other in ((left, right), (right, left)):
        if other.constant is not None and code.kind == other.kind in ("string", "boolean", "integer"):
            fast = _equals_constant(code, other.constant)
            if fast is not None:
                return fast
    if left.is_single and right.is_single:
        a, b = left.scalar(), right.scalar()
        if left.kind == right.kind in ("string", "boolean", "integer"):

            def run_alike(evaluation: Evaluation, this: Any) -> bool | None:
                ours, theirs = a(evaluation, this), b(evaluation, this)
                return None if ours is None or theirs is None else bool(ours == theirs)

            return run_alike

        def run_single(evaluation: Evaluation, this: Any) -> bool | None:
            ours, theirs = a(evaluation, this), b(evaluation, this)
            return None if ours is None or theirs is None else equal(ours, theirs)

        return run_single
    ours_of, theirs_of = left.items(), right.items()

    def run(evaluation: Evaluation, this: Any) -> bool | None:
        return equal_collections(evaluation, ours_of(evaluation, this), theirs_of(evaluation, this))

    return run


def _equals_constant(code: Code, value: Any) -> Truth | None:
    """Values that JSON has as they are, with a literal of the same kind."""
    if code.one is not None or code.is_single:
        scalar = code.scalar()

        def run_one(evaluation: Evaluation, this: Any) -> bool | None:
            found = scalar(evaluation, this)
            return None if found is None else bool(found == value)

        return run_one
    if code.raw is None:
        return None
    raw = code.raw

    def run(evaluation: Evaluation, this: Any) -> bool | None:
        found = raw(evaluation, this)
        if len(found) != 1:
            return False if found else None
        return None if found[0] is None else bool(found[0] == value)

    return run


def _equivalent(compiler: Compiler, node: Binary, scope: Scope) -> Code:
    return Code(BOOLEAN, truth=_equivalence(compiler, node, scope, wanted=True))


def _not_equivalent(compiler: Compiler, node: Binary, scope: Scope) -> Code:
    return Code(BOOLEAN, truth=_equivalence(compiler, node, scope, wanted=False))


def _equivalence(compiler: Compiler, node: Binary, scope: Scope, *, wanted: bool) -> Truth:
    left, right = compiler.compile(node.left, scope).items(), compiler.compile(node.right, scope).items()

    def run(evaluation: Evaluation, this: Any) -> bool | None:
        ours, theirs = left(evaluation, this), right(evaluation, this)
        if len(ours) == len(theirs) == 1:
            return equivalent(ours[0], theirs[0]) is wanted
        return equivalent_collections(evaluation, ours, theirs) is wanted

    return run


def _comparison(holds: Callable[[int, int], bool]) -> Callable[[Compiler, Binary, Scope], Code]:
    def compile_comparison(compiler: Compiler, node: Binary, scope: Scope) -> Code:
        left, right = compiler.compile(node.left, scope).scalar(), compiler.compile(node.right, scope).scalar()

        def run(evaluation: Evaluation, this: Any) -> bool | None:
            a, b = left(evaluation, this), right(evaluation, this)
            if a is None or b is None:
                return None
            answer = order(a, b)
            return None if answer is None else holds(answer, 0)

        return Code(BOOLEAN, truth=located(run, node.position))

    return compile_comparison


def _union(compiler: Compiler, node: Binary, scope: Scope) -> Code:
    return collections.union(compiler.compile(node.left, scope), compiler.compile(node.right, scope))


def _in(compiler: Compiler, node: Binary, scope: Scope) -> Code:
    return _membership(compiler.compile(node.left, scope), compiler.compile(node.right, scope), node.position)


def _contains(compiler: Compiler, node: Binary, scope: Scope) -> Code:
    return _membership(compiler.compile(node.right, scope), compiler.compile(node.left, scope), node.position)


def _membership(item: Code, collection: Code, position: int) -> Code:
    one, many = item.items(), collection.items()

    def run(evaluation: Evaluation, this: Any) -> bool | None:
        found = one(evaluation, this)
        if len(found) != 1:
            if not found:
                return None
            raise EvaluationError(f"in, contains: one item was expected, there are {len(found)}").placed(position)
        candidates = many(evaluation, this)
        evaluation.charge(len(candidates))
        return any(equal(found[0], candidate) for candidate in candidates)

    return Code(BOOLEAN, truth=run)


def _arithmetic(compute: Callable[[Evaluation, Any, Any], Any]) -> Callable[[Compiler, Binary, Scope], Code]:
    def compile_arithmetic(compiler: Compiler, node: Binary, scope: Scope) -> Code:
        left, right = compiler.compile(node.left, scope).scalar(), compiler.compile(node.right, scope).scalar()

        def run(evaluation: Evaluation, this: Any) -> Any:
            a, b = left(evaluation, this), right(evaluation, this)
            return None if a is None or b is None else compute(evaluation, a, b)

        return Code(None, scalar=located(run, node.position))

    return compile_arithmetic


def _concatenate(compiler: Compiler, node: Binary, scope: Scope) -> Code:
    """`&`: an empty operand is an empty string."""
    left, right = compiler.compile(node.left, scope).scalar(), compiler.compile(node.right, scope).scalar()

    def run(evaluation: Evaluation, this: Any) -> str:
        a, b = left(evaluation, this), right(evaluation, this)
        return str(arithmetic.concatenate(evaluation, "" if a is None else a, "" if b is None else b))

    return Code((SYSTEM["String"],), scalar=located(run, node.position))


_COMPILE: dict[str, Callable[[Compiler, Binary, Scope], Code]] = {
    "and": _decided_by(decisive=False, answer=False),
    "or": _decided_by(decisive=True, answer=True),
    "xor": _xor,
    "implies": _decided_by(decisive=False, answer=True),
    "=": _equal,
    "!=": _not_equal,
    "~": _equivalent,
    "!~": _not_equivalent,
    "<": _comparison(operator.lt),
    ">": _comparison(operator.gt),
    "<=": _comparison(operator.le),
    ">=": _comparison(operator.ge),
    "|": _union,
    "in": _in,
    "contains": _contains,
    "&": _concatenate,
    "+": _arithmetic(arithmetic.add),
    "-": _arithmetic(arithmetic.subtract),
    "*": _arithmetic(arithmetic.multiply),
    "/": _arithmetic(arithmetic.divide),
    "div": _arithmetic(arithmetic.div),
    "mod": _arithmetic(arithmetic.mod),
}
