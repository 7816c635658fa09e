"""Compiled expressions: the public face of the engine (docs/fhirpath.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from fhir_server.fhirpath.ast import Call, defines_variables, nodes_of, with_scopes
from fhir_server.fhirpath.ast import Expression as Tree
from fhir_server.fhirpath.code import Code, Run, Scope
from fhir_server.fhirpath.compiler import Compiler
from fhir_server.fhirpath.evaluation import (
    DEFAULT_BUDGET,
    Budget,
    BudgetExceeded,
    Evaluation,
    EvaluationError,
    Services,
)
from fhir_server.fhirpath.lexer import InvalidExpression
from fhir_server.fhirpath.node import Item, Location, Node, location
from fhir_server.fhirpath.parser import parse
from fhir_server.fhirpath.type_tests import type_name
from fhir_server.fhirpath.types import RESOURCE, TypeInfo, type_at
from fhir_server.fhirpath.values import plain
from fhir_server.fhirpath.variables import CONTEXTUAL

_Plain = Callable[[Evaluation, Any], list[Any]]
_TOO_DEEP = "The FHIRPath expression is nested too deeply to be evaluated."


@lru_cache(maxsize=4096)
def compile(expression: str, *, strict: bool = False) -> CompiledExpression:  # noqa: A001 (the word FHIRPath users know)
    """The expression, ready for any resource; kept, so that asking again costs nothing.

    `strict` refuses what can never have a value: elements the type does not have, order where there is none.
    Raises InvalidExpression, which names the column.
    """
    try:
        compiled = CompiledExpression(expression, parse(expression), strict=strict)
        # What is wrong whatever the resource: functions and types that are not, arguments too many.
        Compiler(RESOURCE, raw=False).compile(compiled.tree, Scope(None, raw=False))
    except RecursionError:
        raise InvalidExpression(_TOO_DEEP) from None
    return compiled


class CompiledExpression:
    """One expression. Safe to share between threads and tasks: evaluations keep their state to themselves."""

    __slots__ = ("_by_nodes", "_fast", "_needs_places", "_overridden", "_walks", "source", "strict", "tree")

    def __init__(self, source: str, tree: Tree, *, strict: bool) -> None:
        self.source = source
        self.strict = strict
        self.tree = with_scopes(tree) if defines_variables(tree) else tree
        self._needs_places = any(isinstance(node, Call) and node.name == "resolve" for node in nodes_of(tree))
        self._fast: dict[str, tuple[_Plain, TypeInfo]] = {}
        """Type -> what gives the result as JSON."""
        self._overridden: dict[str, tuple[_Plain, TypeInfo]] = {}
        """The same where the caller gives %resource or the like."""
        self._walks: dict[Any, Callable[[Any, Any], list[Any]]] = {}
        """Type -> the same for expressions that need no evaluation (Code.pure)."""
        self._by_nodes: dict[tuple[str, bool], Run] = {}

    def evaluate(
        self,
        resource: Any,
        variables: Mapping[str, Any] | None = None,
        *,
        type_name: str | None = None,
        services: Services | None = None,
        budget: Budget = DEFAULT_BUDGET,
        now: datetime | None = None,
    ) -> list[Any]:
        """The result as JSON has it: objects are those of the resource itself, a primitive without value is None.

        `variables`: name without `%` -> a value or a list of values; also `resource`, `rootResource`, `context`.
        `type_name`: of a `resource` that is an element instead (`HumanName`, `Patient.contact`).
        `now`: what now(), today() and timeOfDay() tell, else the time of the first call.
        Raises EvaluationError, BudgetExceeded, and InvalidExpression for what this type cannot have.
        """
        try:
            name = resource["resourceType"] if type_name is None else type_name
            walk = self._walks.get(name)
            if walk is not None:
                return [*walk(None, resource)]
            given = variables is not None and _overrides(variables)
            found = (self._overridden if given else self._fast).get(name)
            run, info = found if found is not None else self._compile_fast(name, overrides=given)
            evaluation = Evaluation(resource, info)
            if variables or services is not None or now is not None or budget is not DEFAULT_BUDGET:
                evaluation.configure(variables, services, budget, now)
            return run(evaluation, resource)
        except (AttributeError, TypeError, KeyError):
            # The data is not of the shape R4 gives it: nodes look before they step.
            return [plain(item) for item in self.items(resource, variables, type_name, services, budget, now)]
        except RecursionError:
            raise BudgetExceeded(_TOO_DEEP) from None

    def holds(self, resource: Any, variables: Mapping[str, Any] | None = None, **options: Any) -> bool:
        """Whether the expression, an invariant, is kept: only false breaks one, empty does not."""
        return self.evaluate(resource, variables, **options) != [False]

    def typed(self, resource: Any, variables: Mapping[str, Any] | None = None, **options: Any) -> list[tuple[str, Any]]:
        """The result with its types: `("FHIR.code", "male")`, `("System.Integer", 3)`."""
        return [(_full_name(item), plain(item)) for item in self.items(resource, variables, **options)]

    def locate(self, resource: Any, variables: Mapping[str, Any] | None = None, **options: Any) -> list[Location]:
        """Where the elements of the result stand in `resource`, for whoever wants to change them in place.

        A Location has the JSON object that holds the element and its key and index there. Values the expression
        computed stand nowhere and are left out. `locate(expression, resource)` does the same from text.
        """
        return [location(item) for item in self.items(resource, variables, **options) if type(item) is Node]

    def items(
        self,
        resource: Any,
        variables: Mapping[str, Any] | None = None,
        type_name: str | None = None,
        services: Services | None = None,
        budget: Budget = DEFAULT_BUDGET,
        now: datetime | None = None,
    ) -> list[Item]:
        """The result as nodes, which know their type and place, and System values."""
        key = (type_name or _resource_type(resource), _overrides(variables))
        try:
            run = self._by_nodes.get(key)
            if run is None:
                code = self._code(_type(key[0]), raw=False, overrides=key[1])
                run = self._by_nodes[key] = code.items()
            evaluation = Evaluation(resource, _type(key[0]))
            evaluation.configure(variables, services, budget, now)
            return run(evaluation, evaluation.root)
        except RecursionError:
            raise BudgetExceeded(_TOO_DEEP) from None

    def _compile_fast(self, name: str, *, overrides: bool) -> tuple[_Plain, TypeInfo]:
        info = _type(name)
        # Places matter to references inside of Bundles; the extensions of a bare primitive are nowhere.
        raw = not info.is_primitive and not (self._needs_places and info.name in ("Bundle", "Parameters"))
        code = self._code(info, raw=raw, overrides=overrides)
        found = (self._overridden if overrides else self._fast)[name] = _plain(code, raw=raw), info
        if code.pure and raw and not overrides:
            self._walks[name] = found[0] if code.raw is None else code.raw
        return found

    def _code(self, info: TypeInfo, *, raw: bool, overrides: bool) -> Code:
        compiler = Compiler(info, raw=raw, strict=self.strict, overrides=overrides)
        return compiler.compile(self.tree, compiler.root)


def locate(expression: str, resource: dict[str, Any], **options: Any) -> list[Location]:
    """Where the elements that `expression` selects stand in `resource` (FHIRPath Patch's paths)."""
    return compile(expression).locate(resource, **options)


def _plain(code: Code, *, raw: bool) -> _Plain:
    if code.raw is not None:
        values = code.raw
        # The list may be the resource's own.
        return lambda evaluation, this: [*values(evaluation, this)]
    items = code.items()
    if code.is_single and code.kind in ("boolean", "integer", "string"):
        return items
    if raw:
        return lambda evaluation, this: [plain(item) for item in items(evaluation, this)]
    return lambda evaluation, this: [plain(item) for item in items(evaluation, evaluation.root)]


def _overrides(variables: Mapping[str, Any] | None) -> bool:
    return variables is not None and not CONTEXTUAL.isdisjoint(variables)


def _resource_type(resource: Any) -> str:
    name = resource.get("resourceType") if type(resource) is dict else None
    if type(name) is not str:
        raise EvaluationError("A FHIRPath expression is evaluated on a resource, or on an element whose type is given.")
    return name


@lru_cache(maxsize=1024)
def _type(name: str) -> TypeInfo:
    try:
        return type_at(name)
    except KeyError:
        raise EvaluationError(f"R4 has no type {name[:100]}.") from None


def _full_name(item: Item) -> str:
    name = type_name(item)
    return f"{name.namespace}.{name.name}"
