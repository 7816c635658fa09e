"""Canonicals and the choice among stored resources that share one (R4 references.html#canonical).

Without a version the newest is meant: an active resource before a draft, one of unknown status and a retired one,
then the highest business version, then the latest date, then what was stored last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_PART = re.compile(r"([0-9]+)|([^\W\d_]+)")
_STATUS = {"active": 3, "draft": 2, "unknown": 1, "retired": 0}

VersionKey = tuple[tuple[int, int, str], ...]


@dataclass(frozen=True, slots=True)
class Head:
    """What tells one stored CodeSystem or ValueSet from another of the same url."""

    url: str
    version: str
    status: str
    date: str
    seq: int


def head(resource: dict[str, Any], seq: int) -> Head:
    texts = [resource.get(name) for name in ("url", "version", "status", "date")]
    url, version, status, date = (text if isinstance(text, str) else "" for text in texts)
    return Head(url, version, status, date, seq)


def split(canonical: str) -> tuple[str, str]:
    """(url, version) of `url|version`; the version is "" when there is none."""
    url, _, version = canonical.partition("|")
    return url, version


def joined(url: str, version: str) -> str:
    return f"{url}|{version}" if version else url


def choose(heads: Iterable[Head], url: str, version: str, locked: str = "") -> Head | None:
    """The one meant by `url` and, unless it is empty, `version`; None when there is none.

    `locked` is a compose.lockedDate: without a version, nothing dated later counts (R4 valueset.html).
    """
    found = [one for one in heads if one.url == url]
    if version:
        found = [one for one in found if one.version == version]
    elif locked:
        found = [one for one in found if one.date[: len(locked)] <= locked]
    return max(found, key=_rank, default=None)


def _rank(one: Head) -> tuple[int, VersionKey, str, int]:
    return _STATUS.get(one.status, 1), version_key(one.version), one.date, one.seq


def version_key(version: str) -> VersionKey:
    """Orders business versions: 1.9 before 1.10, 2.0.0-beta before 2.0.0, no version before any.

    The format is the publisher's (R4 codesystem.html#versioning); numbers count as numbers, words as words.
    """
    if not version:
        return ()
    parts: list[tuple[int, int, str]] = []
    for number, word in _PART.findall(version):
        if number:
            digits = number.lstrip("0")
            parts.append((2, len(digits), digits))
        else:
            parts.append((0, 0, word.casefold()))
    return (*parts, (1, 0, ""))
