"""Failures as FHIR sees them: a status, an issue code, an expression and a sentence that says what to do.

R4 http.html#Status-Codes, operationoutcome.html, valueset-issue-type.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Issue:
    """One `OperationOutcome.issue`; `expression` is FHIRPath into what the caller sent."""

    code: str
    diagnostics: str
    expression: str | None = None
    severity: str = "error"

    def as_json(self) -> dict[str, Any]:
        issue: dict[str, Any] = {"severity": self.severity, "code": self.code, "diagnostics": self.diagnostics}
        if self.expression:
            issue["expression"] = [self.expression]
        return issue


def operation_outcome(issues: list[Issue]) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [issue.as_json() for issue in issues]}


class FhirError(Exception):
    """A refusal: rendered as an OperationOutcome with `status`; never logged with a stack trace."""

    status = 400
    code = "processing"

    def __init__(
        self,
        diagnostics: str,
        *,
        code: str | None = None,
        expression: str | None = None,
        status: int | None = None,
        issues: list[Issue] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(diagnostics)
        self.status = status or type(self).status
        self.issues = issues or [Issue(code or type(self).code, diagnostics, expression)]
        self.headers = headers or {}

    def as_json(self) -> dict[str, Any]:
        return operation_outcome(self.issues)

    def located(self, expression: str | None) -> FhirError:
        """The same refusal, each issue that names no place placed at `expression`."""
        placed = [Issue(i.code, i.diagnostics, i.expression or expression, i.severity) for i in self.issues]
        return FhirError(str(self), status=self.status, issues=placed, headers=self.headers)

    def at(self, expression: str) -> FhirError:
        """The same refusal with every issue's expression moved below `expression` (a Bundle entry).

        Headers that speak of a single resource, such as its ETag, are left out.
        """
        moved = [Issue(i.code, i.diagnostics, _below(expression, i.expression), i.severity) for i in self.issues]
        kept = {name: value for name, value in self.headers.items() if name in ("Retry-After", "Allow")}
        return FhirError(str(self), status=self.status, issues=moved, headers=kept)


def _below(entry: str, expression: str | None) -> str:
    """`Patient.name[0].family` as seen from `Bundle.entry[2]`: `Bundle.entry[2].resource.name[0].family`."""
    if expression is None:
        return entry
    if expression.startswith(entry):
        return expression
    _, dot, rest = expression.partition(".")
    return f"{entry}.resource.{rest}" if dot else f"{entry}.resource"


class InvalidResource(FhirError):
    """The body is not a valid resource (400: docs/spec-clarifications/interactions.md, int-8)."""

    code = "invalid"


class UnparseableBody(FhirError):
    code = "structure"


class InvalidSearch(FhirError):
    """A search parameter, modifier or value that cannot be honoured (R4 search.html#errors)."""

    code = "invalid"


def too_costly(diagnostics: str) -> InvalidSearch:
    """A search over a fixed limit of this server: it is refused before it is tried."""
    return InvalidSearch(diagnostics, code="too-costly")


class BusinessRule(FhirError):
    status = 422
    code = "business-rule"


class Forbidden(FhirError):
    """R4 security.html, http.html#Status-Codes: the caller may not do this."""

    status = 403
    code = "forbidden"


class ResourceNotFound(FhirError):
    status = 404
    code = "not-found"


class ResourceGone(FhirError):
    """R4 http.html#delete: a read of a deleted resource is 410."""

    status = 410
    code = "deleted"


class MethodNotAllowed(FhirError):
    status = 405
    code = "not-supported"


class NotAcceptable(FhirError):
    status = 406
    code = "not-supported"


class UnsupportedMediaType(FhirError):
    status = 415
    code = "not-supported"


class Conflict(FhirError):
    status = 409
    code = "conflict"


class VersionConflict(FhirError):
    """R4 http.html#concurrency: the If-Match version is not the current one."""

    status = 412
    code = "conflict"


class MultipleMatches(FhirError):
    """R4 http.html#ccreate: a condition that selects more than one resource is a 412."""

    status = 412
    code = "multiple-matches"


class TooLarge(FhirError):
    status = 413
    code = "too-long"


class TooCostly(FhirError):
    """A search or a request went over its time or row budget."""

    status = 422
    code = "too-costly"


class Overloaded(FhirError):
    def __init__(self, diagnostics: str, *, status: int = 503, retry_after: int = 1) -> None:
        super().__init__(diagnostics, status=status, code="throttled" if status == 429 else "transient")
        self.headers = {"Retry-After": str(retry_after)}


class StorageFull(FhirError):
    """The disk is full: nothing was written (507, RFC 4918 section 11.5)."""

    status = 507
    code = "no-store"
