"""Where the shipped content (profiles, questionnaires, ...) lies: in the installed wheel or the repository."""

from __future__ import annotations

from functools import cache
from pathlib import Path

SHIPPED_BASE = "https://fhir.example.org/msk"
"""Base of the canonicals as written in the content folders; the setting `canonical_base` replaces it."""
_PACKAGE = Path(__file__).parent


@cache
def root() -> Path:
    """The folder that holds the content folders: `fhir_server/_content` of a wheel, else the repository root."""
    packaged = _PACKAGE / "_content"
    return packaged if packaged.is_dir() else _PACKAGE.parent
