"""`fhir-server score FILE...`: the scores of the QuestionnaireResponses in NDJSON files, without a server.

A row for each score (response id, score, value, status, reason), or whole Observations. Memory does not grow with the
files.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Any

import msgspec

from fhir_server.cli.options import add_settings, settings_of
from fhir_server.errors import BusinessRule
from fhir_server.instruments.batch import BatchScorer, Row, encode_rows
from fhir_server.instruments.catalogue import shipped
from fhir_server.instruments.definition import Subject
from fhir_server.instruments.evaluation import NOBODY
from fhir_server.instruments.subject import stored_patient_id, subject_at
from fhir_server.model.dates import zone

Json = dict[str, Any]
Scorer = Callable[[Json], list[Any]]

ROWS_AT_ONCE = 1000
FIELDS = ("responseId", "score", "value", "status", "reason")
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="NDJSON, also gzipped; - is standard input.")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--csv", action="store_true", help="Write rows as CSV with a header instead of NDJSON.")
    shape.add_argument("--observations", action="store_true", help="Write Observations instead of rows.")
    parser.add_argument("--patients", metavar="FILE", help="NDJSON of Patients, for tables by sex and age.")
    parser.add_argument(
        "--questionnaires", metavar="FILE", help="NDJSON of Questionnaires with imported wordings (an export of them)."
    )
    add_settings(parser, ("canonical_base", "time_zone", "score_unverified"))


def run(arguments: argparse.Namespace) -> int:
    """0 when every response was scored, 1 when some were refused or could not be read, 2 when a file is not there."""
    settings = settings_of(arguments)
    try:
        scorer = BatchScorer(
            shipped(settings.canonical_base),
            datetime.now(zone(settings.time_zone)),
            allow_unverified=settings.score_unverified == "allow",
            wordings=_wordings(arguments.questionnaires) if arguments.questionnaires else None,
        )
        patients = _patients(arguments.patients) if arguments.patients else {}
        with ExitStack() as stack:
            lines = _lines([stack.enter_context(_opened(name)) for name in arguments.files])
            job = _Job(scorer, patients)
            _write(job.results(lines, observations=arguments.observations), as_csv=arguments.csv)
    except OSError as error:
        print(f"fhir-server: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        print(f"fhir-server: the file is damaged and cannot be read on: {error}", file=sys.stderr)
        return 1
    print(f"{job.responses} responses, {job.refused} without a score.", file=sys.stderr)
    return 1 if job.refused else 0


class _Job:
    def __init__(self, scorer: BatchScorer, patients: dict[str, Json]) -> None:
        self._scorer = scorer
        self._patients = patients
        self.responses = 0
        self.refused = 0

    def results(self, lines: Iterator[bytes], *, observations: bool) -> Iterator[list[Any]]:
        """What the response of each line gives: rows, or Observations and rows for what is refused."""
        score: Scorer = self._observations if observations else self._rows
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            self.responses += 1
            try:
                response = _decode(line)
                if type(response) is not dict or response.get("resourceType") != "QuestionnaireResponse":
                    raise ValueError("not a QuestionnaireResponse")
            except (ValueError, InvalidOperation) as error:
                self.refused += 1
                yield [Row(None, None, None, "refused", f"Line {number}: {error}.")]
                continue
            yield score(response)

    def _rows(self, response: Json) -> list[Row]:
        rows = self._scorer.rows(response, self._subject(response))
        if rows[0].status == "refused":
            self.refused += 1
        return rows

    def _observations(self, response: Json) -> list[Any]:
        try:
            return self._scorer.observations(response, self._subject(response))
        except BusinessRule:
            return list(self._rows(response))

    def _subject(self, response: Json) -> Subject:
        if not self._patients:
            return NOBODY
        return subject_at(self._patients.get(stored_patient_id(response) or ""), response.get("authored"))


def _write(results: Iterator[list[Any]], *, as_csv: bool) -> None:
    out = sys.stdout.buffer
    text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True) if as_csv else None
    writer = csv.writer(text) if text else None
    if writer:
        writer.writerow(FIELDS)
    waiting: list[Any] = []
    for rows in results:
        waiting += rows
        if len(waiting) >= ROWS_AT_ONCE:
            _flush(waiting, writer, out)
    _flush(waiting, writer, out)
    out.flush()
    if text:
        text.detach()


def _flush(waiting: list[Any], writer: Any, out: IO[bytes]) -> None:
    if writer:
        writer.writerows([row.response_id, row.score, row.value, row.status, row.reason] for row in waiting)
    else:
        out.write(encode_rows(waiting))
    waiting.clear()


def _opened(name: str) -> IO[bytes] | gzip.GzipFile:
    if name == "-":
        return sys.stdin.buffer
    return gzip.open(name) if name.endswith(".gz") else Path(name).open("rb")


def _lines(files: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    for file in files:
        yield from file


def _patients(name: str) -> dict[str, Json]:
    """Sex and birth date by id: what tables ask for, and no more is kept."""
    with _opened(name) as lines:
        read = (_decode(line) for line in lines if line.strip())
        return {
            patient["id"]: {key: patient[key] for key in ("gender", "birthDate") if key in patient} for patient in read
        }


def _wordings(name: str) -> dict[str, bytes]:
    """The lines of the file by the id of the Questionnaire."""
    with _opened(name) as lines:
        return {_decode(line)["id"]: bytes(line) for line in lines if line.strip()}
