"""What ends a command, in one line: a trace says nothing to those who run it."""

from __future__ import annotations

import sqlite3

from fhir_server.errors import FhirError


def explained(error: BaseException) -> str | None:
    """One sentence about `error`, or None when nobody foresaw it."""
    if isinstance(error, sqlite3.Error):
        return f"the SQLite database cannot be used: {error}"
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}"
    # Looked at by name: the module is there only when it was used.
    if type(error).__module__.startswith("asyncpg"):
        return f"PostgreSQL: {error}"
    if isinstance(error, FhirError) or type(error).__name__ == "UnsuitableSchema":
        return str(error)
    return None
