"""Regular expressions in linear time: RE2, which has no backtracking (N1 matches; docs/fhirpath.md)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

from fhir_server.fhirpath.evaluation import EvaluationError

LONGEST = 5_000
"""Longest pattern, in characters; the longest of R4 has under 200."""
_MAX_MEMORY = 8_000_000


def _options() -> Any:
    options = re2.Options()
    # N1: `.` matches newlines too (single line mode).
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    return options


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Any:
    """The pattern. Raises EvaluationError when it is not a regular expression RE2 knows."""
    if len(pattern) > LONGEST:
        raise EvaluationError(f"The regular expression is longer than {LONGEST} characters")
    try:
        return re2.compile(pattern, _options())
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise EvaluationError(f"The regular expression cannot be used ({reason})") from None
