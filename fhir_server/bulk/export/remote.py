"""Files of exports in S3-compatible storage: shipped there when they are whole, and fetched by signed links.

An object cannot be written on, so the file being made lies on disk; what an interrupted step made is made again there.
Credentials and endpoint are the AWS_* variables of the environment, as all of its tools know them.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fhir_server.errors import FhirError
from fhir_server.settings import Settings

if TYPE_CHECKING:
    from obstore.store import S3Store

CHUNK_BYTES = 8 << 20
CONCURRENCY = 4
"""Chunks held at once: 32 MB."""
CONNECT_SECONDS = 5
PAUSE_SECONDS = 30
"""Longest that the storage may say nothing."""
RETRIES = 4
RETRY_SECONDS = 60
"""From the first attempt to the last."""
LONGEST_LINK = timedelta(days=7)
"""Of a signature (AWS Signature Version 4)."""


def remote_of(settings: Settings) -> Remote | None:
    """What the setting `export_storage` names; None for the server's own disk.

    Raises FhirError when the package for it is not installed.
    """
    if not settings.export_storage:
        return None
    try:
        from obstore.store import S3Store  # noqa: PLC0415 - the s3 extra
    except ImportError as error:
        raise FhirError("S3 storage needs the package obstore: pip install 'fhir-server[s3]'.") from error
    where = urlsplit(settings.export_storage)
    return Remote(
        S3Store(
            where.hostname,
            prefix=where.path.strip("/") or None,
            client_options={
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                "read_timeout": timedelta(seconds=PAUSE_SECONDS),
                # Options given here hide this variable.
                "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true",
            },
            retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
        )
    )


class Remote:
    """Where whole files go."""

    def __init__(self, store: S3Store) -> None:
        import obstore  # noqa: PLC0415 - the s3 extra

        self._obstore = obstore
        self._store = store

    def ship(self, job_id: str, file: Path) -> None:
        """Store the file. Raises FhirError when the storage refuses, or does not answer."""
        try:
            self._obstore.put(
                self._store, f"{job_id}/{file.name}", file, chunk_size=CHUNK_BYTES, max_concurrency=CONCURRENCY
            )
        except Exception as error:
            raise _refused(error) from error

    def link(self, job_id: str, name: str, lasting: timedelta) -> str:
        """An address from which anybody who knows it can fetch the file for so long."""
        return self._obstore.sign(self._store, "GET", f"{job_id}/{name}", min(lasting, LONGEST_LINK))

    def remove(self, job_id: str) -> None:
        """All files of the job. Raises FhirError."""
        try:
            for found in self._obstore.list(self._store, f"{job_id}/"):
                self._obstore.delete(self._store, [one["path"] for one in found])
        except Exception as error:
            raise _refused(error) from error


def _refused(error: Exception) -> FhirError:
    """Only the kind of error: its text tells addresses and what the storage answered."""
    reason = type(error).__name__.removesuffix("Error") or "unknown"
    return FhirError(f"The storage for exports does not take the files ({reason}): ask who runs this server.")
