"""Structured logs as JSON lines: events with safe fields only.

No search value, identifier, body or local variable is ever logged: exceptions are written as their
types and code positions without their messages, which may quote the data that caused them.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from fhir_server.observability.log_writer import standard_error

Event = MutableMapping[str, Any]


def configure(level: str) -> None:
    """Send structlog's and the standard library's messages at `level` and above to the log."""
    structlog.configure(
        processors=[_stamp, _render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.BytesLoggerFactory(_Lines()),  # type: ignore[arg-type]
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_LibraryMessages()]
    root.setLevel(logging.WARNING)


def trace(error: BaseException) -> list[str]:
    """Where `error` and its causes came from: `file:line function` per frame and the exception's type."""
    lines: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        lines.append(type(current).__name__)
        for frame, line in traceback.walk_tb(current.__traceback__):
            lines.append(f"  {frame.f_code.co_filename}:{line} {frame.f_code.co_qualname}")
        current = current.__cause__ or current.__context__
    return lines


def log_unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """The event loop's exception handler: where it failed, without the message, which may be data."""
    error = context.get("exception")
    structlog.get_logger().error("background task failed", trace=trace(error) if error is not None else [])


def _stamp(_logger: object, method: str, event: Event) -> Event:
    return {"time": datetime.now(UTC), "level": method, **event}


def _render(_logger: object, _method: str, event: Event) -> bytes:
    return orjson.dumps(event, default=repr, option=orjson.OPT_UTC_Z)


class _Lines:
    """The file structlog writes to."""

    def write(self, line: bytes) -> None:
        standard_error.write(line)

    def flush(self) -> None:
        """Lines are written by the background thread."""


class _LibraryMessages(logging.Handler):
    """Messages of libraries by their template only: the arguments may be data."""

    def emit(self, record: logging.LogRecord) -> None:
        event: dict[str, Any] = {
            "time": datetime.now(UTC),
            "level": record.levelname.lower(),
            "event": str(record.msg),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[1] is not None:
            event["trace"] = trace(record.exc_info[1])
        standard_error.write(orjson.dumps(event, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE))
