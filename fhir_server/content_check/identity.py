"""Who an artefact is: one resource per business version, with what all say of themselves (R4 versioning.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fhir_server import spec
from fhir_server.content_check.finding import Fault

ALWAYS = ("id", "url", "version", "name", "status", "experimental", "date", "publisher")
_NAME = re.compile(r"[A-Z][A-Za-z0-9_]{0,254}")
"""R4's rule for names that are handled by a computer (sdf-0, vsd-0 and the like)."""


def identity_faults(resource: dict[str, Any]) -> Iterator[Fault]:
    """Faults of one artefact by itself."""
    kind = resource["resourceType"]
    for element in ALWAYS:
        if element not in resource:
            yield Fault((), f"{element} is missing: every artefact has it.")
    if "title" not in resource and f"{kind}.title" in spec.structure(kind).elements:
        yield Fault((), "title is missing: every artefact has it.")
    url, version = str(resource.get("url", "")), str(resource.get("version", ""))
    start, _, tail = url.rpartition("/")
    if url and not start.endswith(f"/{kind}"):
        yield Fault(("url",), f"The url ends in /{kind}/ and a name.")
    # Operations are called by their id, which therefore does not change with the version.
    elif kind != "OperationDefinition" and resource.get("id") != f"{tail}-{version}":
        yield Fault(("id",), f"The id is the end of the url and the version: {tail}-{version}.")
    if "name" in resource and not _NAME.fullmatch(str(resource["name"])):
        yield Fault(("name",), "The name starts with a capital and has letters, digits and _ only.")
    # Our operations are served; all else is a sample until a named reviewer says otherwise.
    if resource.get("experimental") is (kind == "OperationDefinition"):
        yield Fault(("experimental",), "experimental is true, of an OperationDefinition false.")
