"""Terminology questions that cannot be answered: each refusal names what is missing and what to do."""

from __future__ import annotations

from fhir_server.errors import FhirError


class Unanswerable(FhirError):
    """A value set or code that the stored resources do not settle: `not-found`, `not-supported`, `too-costly`."""

    code = "not-supported"


def missing(diagnostics: str) -> Unanswerable:
    return Unanswerable(diagnostics, code="not-found")


def unsupported(diagnostics: str) -> Unanswerable:
    return Unanswerable(diagnostics, code="not-supported")


def too_costly(diagnostics: str) -> Unanswerable:
    return Unanswerable(diagnostics, code="too-costly")


def shown(text: str) -> str:
    """`text` as it stands in a message: what clients send may be long."""
    return text if len(text) <= 200 else f"{text[:200]}..."
