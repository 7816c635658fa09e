"""Runs the search cases against a FHIR R4 server: python -m tests.search.run_cases http://127.0.0.1:8080/fhir

The resources of the cases are stored there first. A server that is not on this machine is asked only with --remote.
"""

from __future__ import annotations

import argparse
import sys
from urllib.parse import urlsplit

from tests.search.http_case import CaseFile, Session, case_files, failures

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.search.run_cases", description=__doc__)
    parser.add_argument("base_url", help="the FHIR base URL")
    parser.add_argument("files", nargs="*", help="names of case files; all when none is named")
    parser.add_argument("--remote", action="store_true", help="write test resources to a server on another machine")
    options = parser.parse_args(arguments)
    if urlsplit(options.base_url).hostname not in LOOPBACK and not options.remote:
        parser.error("this writes resources to the server named: add --remote if that is wanted")
    session = Session(options.base_url.rstrip("/"))
    chosen = [file for file in case_files() if not options.files or file.name in options.files]
    return 1 if sum([_run(session, file) for file in chosen]) else 0


def _run(session: Session, file: CaseFile) -> int:
    """The number of cases that failed, after saying which."""
    file.store(session)
    wrong = list(failures(session, file))
    sys.stdout.write(f"{file.name}: {len(file.cases)} cases, {len(wrong)} differences\n")
    sys.stdout.writelines(f"  {line}\n" for line in wrong)
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
