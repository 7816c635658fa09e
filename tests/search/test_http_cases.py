"""Searches over HTTP on both engines, by the sections of R4's search page (tests/cases/search_http)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.search import run_cases
from tests.search.http_answer import EXPECTATIONS
from tests.search.http_case import REQUEST, CaseFile, Session, case_files, failures, failures_among_all

FILES = case_files()


@pytest.fixture(scope="module")
def session(base_url: str) -> Iterator[Session]:
    session = Session(base_url)
    yield session
    session.close()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_search_is_answered_as_the_specification_says(session: Session, file: CaseFile) -> None:
    file.store(session)
    wrong = [*failures(session, file), *failures_among_all(session, file)]
    assert not wrong, "\n".join(["", *wrong])


def test_files_are_independent_of_each_other() -> None:
    ids = [one for file in FILES for one in file.ids]
    assert len(ids) == len(set(ids))


def test_nothing_in_a_file_goes_unchecked() -> None:
    for file in FILES:
        for case in file.cases:
            assert case["rule"], case
            for step in case.get("steps", [case]):
                assert step.keys() <= REQUEST | EXPECTATIONS, (file.name, case)
                assert step.keys() & EXPECTATIONS, (file.name, case)


def test_the_runner_runs_them_against_a_server(base_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cases.main([base_url, "number"]) == 0
    assert capsys.readouterr().out == f"number: {cases_of('number')} cases, 0 differences\n"


def test_the_runner_writes_to_no_other_machine_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_cases.main(["http://fhir.example.org/fhir", "number"])
    assert "--remote" in capsys.readouterr().err


def cases_of(name: str) -> int:
    return next(len(file.cases) for file in FILES if file.name == name)
