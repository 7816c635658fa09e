"""The specification's example resources (tests/data/README.md)."""

from __future__ import annotations

import json
import lzma
from functools import cache
from pathlib import Path
from typing import Any

from fhir_server.model.json import parse

_TESTS = Path(__file__).parent


@cache
def example_texts() -> dict[str, str]:
    """File name -> the file's text as published."""
    with lzma.open(_TESTS / "data" / "r4_examples.ndjson.xz", "rt", encoding="utf-8") as packed:
        return {line["file"]: line["text"] for line in map(json.loads, packed)}


def example(file: str) -> dict[str, Any]:
    """A new copy of one example, read as the server reads bodies."""
    return parse(example_texts()[file].encode(), max_depth=100)


@cache
def faulty_examples() -> dict[str, tuple[str, ...]]:
    """File name -> the expressions at which the example is not valid R4."""
    content = json.loads((_TESTS / "cases" / "validation" / "faulty_examples.json").read_text())
    return {example["file"]: tuple(example["expressions"]) for example in content["examples"]}
