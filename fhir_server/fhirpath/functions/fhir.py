"""What R4 adds (R4 fhirpath.html#functions): extensions, values, references, terminology, conformance, narrative."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fhir_server import spec
from fhir_server.fhirpath import references
from fhir_server.fhirpath.ast import Call, Literal
from fhir_server.fhirpath.code import Code, RawRun, Scope
from fhir_server.fhirpath.evaluation import Evaluation, EvaluationError
from fhir_server.fhirpath.functions.registry import BOOLEAN, Function, of_collection, truth_of_collection
from fhir_server.fhirpath.members import node_member
from fhir_server.fhirpath.node import Item, Node
from fhir_server.fhirpath.types import fhir_type
from fhir_server.fhirpath.values import single
from fhir_server.model.narrative import problem_of

if TYPE_CHECKING:
    from fhir_server.fhirpath.compiler import Compiler

_CORE = "http://hl7.org/fhir/StructureDefinition/"
_EXTENSION = (fhir_type("Extension"),)


def _extension(compiler: Compiler, call: Call, scope: Scope) -> Code:
    """`extension(url)` is `extension.where(url = ...)`."""
    source = compiler.source(call, scope)
    extensions = compiler.member(source, "extension", call.position)
    url = compiler.compile(call.arguments[0], scope)
    wanted = url.scalar()

    def over(run: RawRun, url_of: Callable[[Any], Any]) -> RawRun:
        def chosen(evaluation: Evaluation, this: Any) -> list[Any]:
            found = run(evaluation, this)
            if not found:
                return found
            name = wanted(evaluation, this)
            return [each for each in found if url_of(each) == name]

        return chosen

    return Code(
        _EXTENSION,
        raw=over(extensions.raw, _raw_url) if extensions.raw is not None else None,
        items_later=lambda: over(extensions.items(), _url),
    )


def _raw_url(value: dict[str, Any]) -> Any:
    return value.get("url")


def _url(item: Node) -> Any:
    return item.value.get("url") if type(item.value) is dict else None


def _has_value(compiler: Compiler, call: Call, scope: Scope) -> Code:
    """Whether the input is one primitive with a value."""
    source = compiler.source(call, scope)
    if source.raw is not None and source.types and len(source.types) == 1:
        raw, primitive = source.raw, source.types[0].is_primitive

        def run_raw(evaluation: Evaluation, this: Any) -> bool:
            found = raw(evaluation, this)
            return primitive and len(found) == 1 and found[0] is not None

        return Code(BOOLEAN, truth=run_raw)
    items = source.items()

    def run(evaluation: Evaluation, this: Any) -> bool:
        found = items(evaluation, this)
        if len(found) != 1:
            return False
        item = found[0]
        return type(item) is not Node or (item.type.is_primitive and item.value is not None)

    return Code(BOOLEAN, truth=run)


def _get_value(evaluation: Evaluation, items: list[Item]) -> list[Item]:
    """The System value of the only item, when it is a primitive with a value."""
    value = single(items)
    return [] if value is None or type(value) is Node else [value]


def _resolve(evaluation: Evaluation, items: list[Item]) -> list[Item]:
    return [found for item in items if (found := references.resolve(evaluation, item)) is not None]


def _codings(item: Item) -> list[tuple[str, str]]:
    value = item.value if type(item) is Node else item
    if type(value) is str:
        return [("", value)]
    if type(value) is not dict:
        return []
    found = value.get("coding") if "coding" in value else [value]
    return [
        (each.get("system") or "", each["code"])
        for each in (found if type(found) is list else [])
        if type(each) is dict and type(each.get("code")) is str
    ]


def _member_of(evaluation: Evaluation, items: list[Item], value_sets: list[Item]) -> bool | None:
    """Empty when the value set is not known. R4's own enumerations are known without a host."""
    value_set = single(value_sets)
    if len(items) != 1 or type(value_set) is not str:
        return None
    codings = _codings(items[0])
    if evaluation.services is not None:
        answer = evaluation.services.member_of(value_set, codings)
        if answer is not None:
            return answer
    known = spec.codes(value_set.partition("|")[0])
    if known is None:
        return None
    return any(
        code in codes for system_url, codes in known.items() for given, code in codings if given in ("", system_url)
    )


def _subsumption(evaluation: Evaluation, ancestors: list[Item], descendants: list[Item]) -> bool | None:
    if not ancestors or not descendants:
        return None
    answers: list[bool | None] = []
    for system_url, ancestor in _codings(ancestors[0]):
        for other, descendant in _codings(descendants[0]):
            if system_url != other:
                continue
            if ancestor == descendant:
                return True
            services = evaluation.services
            answers.append(services.subsumes(system_url, ancestor, descendant) if services is not None else None)
    if True in answers:
        return True
    return None if None in answers else False


def _conforms_to(evaluation: Evaluation, items: list[Item], profiles: list[Item]) -> bool | None:
    """The types of R4 are judged by what an element says it is; other profiles by the host."""
    profile = single(profiles)
    if len(items) != 1 or type(profile) is not str:
        return None
    item = items[0]
    if type(item) is not Node:
        return False
    url = profile.partition("|")[0]
    if evaluation.services is not None and type(item.value) is dict:
        answer = evaluation.services.conforms_to(item.value, profile)
        if answer is not None:
            return answer
    if url.startswith(_CORE) and spec.is_type(url.removeprefix(_CORE)):
        return item.type.is_a(fhir_type(url.removeprefix(_CORE)))
    raise EvaluationError(f"The profile {profile[:200]} is not known here")


def _html_checks(evaluation: Evaluation, items: list[Item]) -> bool | None:
    """Whether a narrative is the XHTML that R4 allows (invariants txt-1 and txt-2)."""
    value = single(items)
    return problem_of(value) is None if type(value) is str else None


def _check_modifiers(compiler: Compiler, call: Call, scope: Scope) -> Code:
    """The input, unless it has a modifier extension that is not named (R4 checkModifiers)."""
    known = {str(argument.value) for argument in call.arguments if isinstance(argument, Literal)}
    source = compiler.source(call, scope)
    items = source.items()
    modifiers = node_member(items, "modifierExtension")

    def run(evaluation: Evaluation, this: Any) -> list[Item]:
        for extension in modifiers(evaluation, this):
            if type(extension) is Node and _url(extension) not in known:
                raise EvaluationError(f"The modifier extension {_url(extension)} is not understood").placed(
                    call.position
                )
        return items(evaluation, this)

    return Code(source.types, items=run)


FUNCTIONS = {
    "extension": Function(1, 1, _extension),
    "hasValue": Function(0, 0, _has_value),
    "getValue": of_collection(_get_value),
    "resolve": of_collection(_resolve),
    "memberOf": truth_of_collection(_member_of, arguments=1),
    "subsumes": truth_of_collection(_subsumption, arguments=1),
    "subsumedBy": truth_of_collection(
        lambda evaluation, items, other: _subsumption(evaluation, other, items), arguments=1
    ),
    "conformsTo": truth_of_collection(_conforms_to, arguments=1),
    "htmlChecks": truth_of_collection(_html_checks),
    "checkModifiers": Function(1, 50, _check_modifiers),
}
