"""What is wrong, and where: a JSON path that becomes a FHIRPath expression and a line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]

Path = tuple[str | int, ...]
"""JSON keys and array positions from the resource on."""
_SPACE = re.compile(r"[ \t\r\n]*")
_STEP = re.compile(r"([A-Za-z_]\w*)((?:\[\d+\])*)")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with an artefact."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault of one file."""

    file: str
    line: int
    rule: str
    """Which kind of rule: structure, invariant, identity, canonical, code, expression, element or link."""
    expression: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.expression}: {self.text}"


def expression_of(root: str, path: Path) -> str:
    """`PlanDefinition.action[0].title` of ("action", 0, "title")."""
    return root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def path_of(expression: str) -> Path:
    """The other way; a name of a choice stays as FHIRPath says it, and `line_of` finds its key."""
    path: list[str | int] = []
    for name, positions in _STEP.findall(expression):
        path.append(name)
        path.extend(int(position) for position in re.findall(r"\d+", positions))
    return tuple(path[1:])


def line_of(text: str, path: Path) -> int:
    """The line on which the value at `path` begins, or the nearest of its parents that is there."""
    place = _skip(text, 0)
    for step in path:
        following = _item(text, place, step) if isinstance(step, int) else _member(text, place, step)
        if following is None:
            break
        place = following
    return text.count("\n", 0, place) + 1


def _skip(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _member(text: str, place: int, name: str) -> int | None:
    """Where the value of the member is, by its key or, of a choice, by the beginning of its key."""
    if not text.startswith("{", place):
        return None
    chosen: int | None = None
    place = _skip(text, place + 1)
    while text.startswith('"', place):
        key, place = scanstring(text, place + 1)
        value = _skip(text, _skip(text, place) + 1)
        if key == name:
            return value
        if key.startswith(name) and key[len(name)].isupper():
            chosen = value
        _, place = _DECODER.raw_decode(text, value)
        place = _skip(text, _skip(text, place) + 1)
    return chosen


def _item(text: str, place: int, position: int) -> int | None:
    if not text.startswith("[", place):
        # FHIRPath numbers single values too.
        return place if position == 0 else None
    place = _skip(text, place + 1)
    for _ in range(position):
        _, place = _DECODER.raw_decode(text, place)
        place = _skip(text, _skip(text, place) + 1)
    return place
