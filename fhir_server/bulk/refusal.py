"""What was not stored of what was loaded, as OperationOutcomes that name file and line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fhir_server.bulk.source import Source
from fhir_server.errors import Issue, operation_outcome

_EXTENSIONS = "http://hl7.org/fhir/StructureDefinition"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One resource, or one entry of an executed Bundle, that was not stored."""

    source: Source
    resource: str
    """`Type/id`, as far as it is known, else what else names it."""
    issues: list[Issue]

    def as_json(self, file: str | None = None) -> dict[str, Any]:
        """R4 operationoutcome.html, with HL7's extensions operationoutcome-file and operationoutcome-issue-line.

        `file`: its name for others than this machine.
        """
        outcome = operation_outcome(self.issues)
        name = str(self.source.file) if file is None else file
        outcome["extension"] = [{"url": f"{_EXTENSIONS}/operationoutcome-file", "valueString": name}]
        for issue in outcome["issue"]:
            if self.source.line:
                line = {"url": f"{_EXTENSIONS}/operationoutcome-issue-line", "valueInteger": self.source.line}
                issue["extension"] = [line]
            if self.resource:
                issue["details"] = {"text": self.resource}
        return outcome
