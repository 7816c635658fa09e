"""Literal references in stored JSON, found in the bytes without parsing them.

Stored bodies are compact and hold references within the server as `Type/id` (R4 references.html#literal), so a
scan for the member is exact: inside a string every quote is escaped and cannot match.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_LITERAL = re.compile(rb'"(?:reference":"([A-Z][A-Za-z]+)|url":"(Binary))/([A-Za-z0-9.-]{1,64})[/"#?]')
"""A Reference, or an attachment's content (R4 datatypes.html#attachment: url) held as a Binary."""

_QUESTIONNAIRE = re.compile(rb'"questionnaire":"([^"\\]+)"')
"""QuestionnaireResponse.questionnaire, the one canonical without which a record cannot be read."""


def targets(body: bytes) -> Iterator[tuple[str, str]]:
    """(resource type, logical id) of every local reference in `body`, in order, repeated as written."""
    for referenced, binary, logical_id in _LITERAL.findall(body):
        yield (referenced or binary).decode(), logical_id.decode()


def questionnaires(body: bytes) -> Iterator[str]:
    """The canonical of every Questionnaire that `body` answers, with its version where it has one."""
    for canonical in _QUESTIONNAIRE.findall(body):
        yield canonical.decode()
