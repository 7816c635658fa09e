"""The functions of FHIRPath N1 and those FHIR R4 adds, by name."""

from __future__ import annotations

from fhir_server.fhirpath.functions import (
    boundaries,
    conversion,
    existence,
    fhir,
    filtering,
    mathematics,
    strings,
    subsetting,
    tree,
    utility,
)
from fhir_server.fhirpath.functions.registry import Function

FUNCTIONS: dict[str, Function] = {
    **existence.FUNCTIONS,
    **filtering.FUNCTIONS,
    **subsetting.FUNCTIONS,
    **conversion.FUNCTIONS,
    **strings.FUNCTIONS,
    **mathematics.FUNCTIONS,
    **tree.FUNCTIONS,
    **utility.FUNCTIONS,
    **boundaries.FUNCTIONS,
    **fhir.FUNCTIONS,
}
