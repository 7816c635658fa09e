"""All rules over all artefacts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fhir_server import spec
from fhir_server.content_check.artefacts import Artefact, replaced
from fhir_server.content_check.canonicals import canonical_faults
from fhir_server.content_check.catalogue import Catalogue
from fhir_server.content_check.codes import code_faults
from fhir_server.content_check.differentials import element_faults
from fhir_server.content_check.expressions import expression_faults
from fhir_server.content_check.finding import Fault, Finding, expression_of, line_of, path_of
from fhir_server.content_check.identity import identity_faults
from fhir_server.content_check.invariants import invariant_faults
from fhir_server.content_check.links import link_faults
from fhir_server.content_check.walk import nodes
from fhir_server.validation import issues


@dataclass(frozen=True, slots=True)
class Unchecked:
    """Codes of a system that cannot be looked up."""

    system: str
    codes: int
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found."""

    artefacts: int
    findings: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...]


def check(shipped: Sequence[Artefact], given: Sequence[Artefact] = ()) -> Report:
    """Check `given`, or all that is shipped when nothing is given; `given` may refer to what is shipped and itself."""
    everything = replaced(shipped, given)
    checked = list(given) or everything
    catalogue = Catalogue(everything)
    findings = [finding for artefact in checked for finding in _findings(artefact, catalogue)]
    findings += _twice(everything, checked)
    unchecked = sorted(catalogue.unchecked.items())
    return Report(
        len(checked),
        tuple(findings),
        tuple(Unchecked(system, number, catalogue.reason(system)) for system, number in unchecked),
    )


def _findings(artefact: Artefact, catalogue: Catalogue) -> Iterator[Finding]:
    for rule, fault in _faults(artefact, catalogue):
        expression = expression_of(artefact.kind or "Resource", fault.path)
        yield Finding(artefact.file, line_of(artefact.text, fault.path), rule, expression, fault.text)


def _faults(artefact: Artefact, catalogue: Catalogue) -> Iterator[tuple[str, Fault]]:
    resource = artefact.resource
    if resource is None:
        yield "structure", Fault((), artefact.unreadable)
        return
    invalid = [Fault(path_of(issue.expression or ""), issue.diagnostics) for issue in issues(resource)]
    yield from (("structure", fault) for fault in invalid)
    # The other rules trust the structure.
    if invalid or artefact.kind not in spec.RESOURCE_TYPES:
        return
    elements = list(nodes(resource))
    for rule, faults in (
        ("invariant", invariant_faults(resource, elements)),
        ("identity", identity_faults(resource)),
        ("canonical", canonical_faults(elements, catalogue)),
        ("code", code_faults(resource, elements, catalogue)),
        ("expression", expression_faults(resource, elements, catalogue)),
        ("element", element_faults(resource)),
        ("link", link_faults(resource, elements)),
    ):
        yield from ((rule, fault) for fault in faults)


def _twice(everything: Sequence[Artefact], checked: Sequence[Artefact]) -> Iterator[Finding]:
    """Two artefacts of one identity: one of them would never be stored."""
    readable = [artefact for artefact in everything if artefact.resource is not None]
    ids = Counter((artefact.kind, artefact.resource.get("id")) for artefact in readable if artefact.resource)
    canonicals = Counter(artefact.canonical for artefact in readable)
    for artefact in checked:
        if artefact.resource is None:
            continue
        own = artefact.resource.get("id")
        for path, text in (
            (("id",), f"Another file has {artefact.kind}/{own} too." if ids[artefact.kind, own] > 1 else ""),
            (("url",), "Another file has this url and version too." if canonicals[artefact.canonical] > 1 else ""),
        ):
            if text:
                where = expression_of(artefact.kind, path)
                yield Finding(artefact.file, line_of(artefact.text, path), "identity", where, text)
