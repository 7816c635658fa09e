"""What ends a command, in one line: a trace says nothing to those who run it."""

from __future__ import annotations

import sqlite3
from socket import gaierror

from fhir_server.errors import FhirError
from fhir_server.storage.sql.migrate import UnsuitableSchema


def explained(error: BaseException) -> str | None:
    """One sentence about `error`, or None when nobody foresaw it."""
    # SQLAlchemy's, of a migration.
    if isinstance(orig := getattr(error, "orig", None), BaseException):
        return explained(orig)
    if isinstance(error, sqlite3.Error):
        return f"the SQLite database cannot be used: {error}"
    if isinstance(error, gaierror):
        return f"the host of the database cannot be found: {error.strerror}"
    if isinstance(error, ConnectionError | TimeoutError):
        return f"the database cannot be reached: {error.strerror or error}"
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}"
    # Looked at by name: the module is there only when it was used.
    if type(error).__module__.startswith("asyncpg"):
        return f"PostgreSQL: {error}"
    if isinstance(error, FhirError | UnsuitableSchema):
        return str(error)
    return None
