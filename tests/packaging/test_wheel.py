"""The built wheel, installed into an empty virtual environment, is a whole server with its content."""

import json
import subprocess
import sys
import venv
from urllib.request import urlopen
from zipfile import ZipFile

import pytest

from tests.live_server import running_server


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory):
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(directory), str(repository)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture
def environment(repository, wheel, tmp_path):
    """The Python of a virtual environment that holds the wheel and what it depends on, at the pinned versions."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    install = ["install", "--quiet", "--no-compile", "--constraint", str(repository / "constraints.txt"), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True, capture_output=True)
    return python


def test_the_wheel_holds_all_content(wheel, repository):
    names = set(ZipFile(wheel).namelist())
    for folder in ("profiles", "questionnaires", "terminology"):
        files = [path for path in (repository / folder).rglob("*") if path.is_file()]
        assert files
        assert {f"fhir_server/_content/{path.relative_to(repository)}" for path in files} <= names
    assert "fhir_server/py.typed" in names
    assert not {name for name in names if name.startswith(("tests/", "benchmarks/", "tools/"))}


def test_the_wheel_in_an_empty_environment_is_a_server(environment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    done = subprocess.run([environment.parent / "fhir-server", "version"], check=True, capture_output=True, text=True)
    assert "0.1.0" in done.stdout
    with running_server(f"sqlite:///{tmp_path}/fhir.db", tmp_path, python=str(environment)) as server:
        with urlopen(f"{server.base_url}/metadata") as answer:
            assert json.load(answer)["fhirVersion"] == "4.0.1"
        with urlopen(f"{server.base_url}/Questionnaire?_count=200") as answer:
            urls = {entry["resource"]["url"].rpartition("/")[2] for entry in json.load(answer)["entry"]}
    assert {"oks", "phq-9"} <= urls
    assert oct((tmp_path / "fhir.db").stat().st_mode & 0o777) == "0o600"
