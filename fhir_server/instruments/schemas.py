"""The JSON Schemas of what instruments are made of, and what breaks them."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator


def best_violation(schema: str, document: dict[str, Any]) -> str | None:
    """The one that explains most, with its JSON path."""
    # 0.1 s and 5 MB that a process pays for only when it scores
    from jsonschema.exceptions import best_match  # noqa: PLC0415

    error = best_match(_validator(schema).iter_errors(document))
    return f"{error.json_path}: {error.message}" if error else None


def violations(schema: str, document: Any) -> list[str]:
    """All, each with its JSON path."""
    return [f"{error.json_path}: {error.message}" for error in _validator(schema).iter_errors(document)]


@cache
def _validator(schema: str) -> Draft202012Validator:
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    source = resources.files(__package__).joinpath(schema).read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(source))
