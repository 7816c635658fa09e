"""FHIRPath N1 (http://hl7.org/fhirpath/N1): expressions over FHIR data.

`compile("Patient.name.given").evaluate(patient)`; docs/fhirpath.md describes the rest.
"""

from __future__ import annotations

from fhir_server.fhirpath.evaluation import Budget, BudgetExceeded, EvaluationError, Services
from fhir_server.fhirpath.expression import CompiledExpression, compile, locate  # noqa: A004
from fhir_server.fhirpath.lexer import InvalidExpression
from fhir_server.fhirpath.node import Location

__all__ = [
    "Budget",
    "BudgetExceeded",
    "CompiledExpression",
    "EvaluationError",
    "InvalidExpression",
    "Location",
    "Services",
    "compile",
    "locate",
]
