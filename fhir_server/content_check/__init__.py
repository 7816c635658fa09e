"""Does the shipped content hold together? `fhir-server content check` (docs/content.md).

One module for each kind of rule; `checking.py` runs them all over the artefacts that `artefacts.py` reads.
"""

from __future__ import annotations

from fhir_server.content_check.artefacts import Artefact, read_files, read_shipped
from fhir_server.content_check.checking import Report, check
from fhir_server.content_check.finding import Finding

__all__ = ["Artefact", "Finding", "Report", "check", "read_files", "read_shipped"]
