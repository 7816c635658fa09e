"""The artefacts that are checked, each with its file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fhir_server import content_files
from fhir_server.content import FILES
from fhir_server.errors import FhirError
from fhir_server.model.json import parse


@dataclass(frozen=True, slots=True)
class Artefact:
    """A file; `resource` is None when it holds no JSON object, and `unreadable` says why."""

    file: str
    text: str
    resource: dict[str, Any] | None
    unreadable: str = ""

    @property
    def kind(self) -> str:
        """The resource type; empty when it has none."""
        return str((self.resource or {}).get("resourceType", ""))

    @property
    def canonical(self) -> tuple[str, str]:
        """(url, version)"""
        content = self.resource or {}
        return str(content.get("url", "")), str(content.get("version", ""))


def read_shipped() -> list[Artefact]:
    """Everything that is shipped, as written: canonicals start with SHIPPED_BASE."""
    root = content_files.root()
    paths = [path for pattern in FILES for path in sorted(root.glob(pattern))]
    return [_read(path, str(path.relative_to(root))) for path in paths]


def read_files(paths: Iterable[Path]) -> list[Artefact]:
    """Raises OSError when one cannot be read."""
    return [_read(path, str(path)) for path in paths]


def replaced(shipped: Sequence[Artefact], given: Sequence[Artefact]) -> list[Artefact]:
    """`shipped` with `given` in the place of those that have the same url and version."""
    known = {artefact.canonical for artefact in given if artefact.resource is not None}
    return [*(artefact for artefact in shipped if artefact.canonical not in known), *given]


def _read(path: Path, name: str) -> Artefact:
    body = path.read_bytes()
    text = body.decode("utf-8", errors="replace")
    try:
        return Artefact(name, text, parse(body, max_depth=sys.maxsize))
    except FhirError as refusal:
        return Artefact(name, text, None, str(refusal))
