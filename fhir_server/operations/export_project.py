"""What a de-identified export needs: a project, a key, and types that the allow-list knows (docs/decisions/0013)."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.deidentification.allow_list import allowed_types
from fhir_server.deidentification.pseudonyms import PROJECT, Pseudonyms
from fhir_server.errors import BusinessRule, InvalidResource
from fhir_server.operations.request import OperationRequest
from fhir_server.settings import Settings


def read_project(call: OperationRequest) -> str:
    """Name of the project of `_deidentify`; empty when nothing is to be de-identified.

    Raises BusinessRule (422) when the server has no key, InvalidResource.
    """
    given = call.one("_deidentify")
    if given is None:
        return ""
    project = str(given)
    if not PROJECT.fullmatch(project):
        raise InvalidResource(
            "_deidentify is the name of a project: up to 64 letters, digits, dots, dashes and underscores, such as "
            "outcomes-2026.",
            code="value",
        )
    if not call.server.settings.pseudonym_key:
        raise BusinessRule(
            "Nothing can be de-identified without a key for pseudonyms: set FHIR_PSEUDONYM_KEY to 32 random characters "
            "or more, and keep them."
        )
    if call.many("patient"):
        raise InvalidResource(
            "patient does not go with _deidentify: whose the pseudonyms are would be plain. Name a Group.",
            code="not-supported",
        )
    return project


def deidentifiable(types: Sequence[str], wanted: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those of `types` that can be de-identified, and the others.

    Raises InvalidResource when one of the others is `wanted` by its name.
    """
    known = allowed_types()
    for name in wanted:
        if name not in known:
            raise InvalidResource(
                f"_type: {name} cannot be de-identified, since nothing says what of it is safe. Leave it out, or "
                "export it without _deidentify.",
                code="not-supported",
            )
    return tuple(one for one in types if one in known), tuple(sorted(one for one in types if one not in known))


def fingerprint(settings: Settings, project: str) -> str:
    """Of the project's key as it is now."""
    return Pseudonyms(settings.pseudonym_key, project, "").fingerprint
