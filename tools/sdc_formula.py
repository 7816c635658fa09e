"""The formulae and conditions of scoring definitions in FHIRPath N1."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from decimal import Decimal
from functools import reduce

from fhir_server.instruments.definition import Exact
from fhir_server.instruments.formula import Formula, exact


class TranslatedFormula:
    """A formula of a definition, which Python's own parser reads once its `=` is written `==`."""

    def __init__(self, formula: Formula, variable: Callable[[str], str], lowest: Callable[[str], Exact | None]) -> None:
        self._text = re.sub(r"(?<![<>!])=", "==", formula.text)
        self._tree = ast.parse(self._text, mode="eval").body
        self._variable = variable
        self._lowest = lowest

    def number(self) -> str:
        return self._number(self._tree)

    def condition(self) -> str:
        return self._condition(self._tree)

    def _number(self, node: ast.expr) -> str:
        if isinstance(node, ast.Constant):
            return ast.get_source_segment(self._text, node) or ""
        if isinstance(node, ast.Name):
            return self._variable(node.id)
        if isinstance(node, ast.Attribute):
            return self._variable(ast.unparse(node))
        if isinstance(node, ast.UnaryOp):
            return f"-{self._operand(node.operand, 3)}"
        if isinstance(node, ast.BinOp):
            level = _LEVELS[type(node.op)]
            return f"{self._operand(node.left, level)} {_SIGNS[type(node.op)]} {self._operand(node.right, level + 1)}"
        if isinstance(node, ast.Call):
            return self._call(ast.unparse(node.func), node.args)
        return f"iif({self._condition(node)}, 1, 0)"

    def _operand(self, node: ast.expr, level: int) -> str:
        text = self._number(node)
        return f"({text})" if isinstance(node, ast.BinOp) and _LEVELS[type(node.op)] < level else text

    def _call(self, function: str, arguments: list[ast.expr]) -> str:
        first, *others = [self._number(argument) for argument in arguments]
        if function in ("max", "min"):
            sign = ">" if function == "max" else "<"
            return reduce(lambda left, right: f"iif({left} {sign} {right}, {left}, {right})", others, first)
        called = f"({first}).{function}()"
        # a logarithm of 0 is empty in some programs and an error in others
        return f"iif({first} > 0, {called})" if function == "ln" and not self._positive(arguments[0]) else called

    def _positive(self, node: ast.expr) -> bool:
        least = self._least(node)
        return least is not None and least > 0

    def _least(self, node: ast.expr) -> Exact | None:
        """What `node` cannot be below; None where that is not plain."""
        if isinstance(node, ast.Constant):
            return exact(Decimal(self._number(node)))
        if isinstance(node, ast.Name):
            return self._lowest(node.id)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self._least(node.left), self._least(node.right)
            return None if left is None or right is None else left + right
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "max":
            return max((least for part in node.args if (least := self._least(part)) is not None), default=None)
        return None

    def _condition(self, node: ast.expr) -> str:
        if isinstance(node, ast.BoolOp):
            word = "and" if isinstance(node.op, ast.And) else "or"
            parts = [
                f"({self._condition(part)})" if isinstance(part, ast.BoolOp) else self._condition(part)
                for part in node.values
            ]
            return f" {word} ".join(parts)
        if isinstance(node, ast.Compare):
            (operator,), (right,) = node.ops, node.comparators
            return f"{self._number(node.left)} {_SIGNS[type(operator)]} {self._number(right)}"
        return f"{self._number(node)} != 0"


_LEVELS: dict[type[ast.operator], int] = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2, ast.Div: 2}
_SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Eq: "=",
    ast.NotEq: "!=",
    ast.GtE: ">=",
    ast.Gt: ">",
}
