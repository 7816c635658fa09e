"""The requests that README.md shows are sent as they stand there, to a server with the demo patients."""

import json
import os
import re
import subprocess
import sys
from urllib.request import urlopen

import pytest

from tests.live_server import running_server

SHOWN = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def demo_server(engine, new_database, tmp_path_factory):
    with running_server(new_database(engine), tmp_path_factory.mktemp("server"), "--demo") as server:
        yield server


@pytest.fixture
def path_with_curl(repository, tmp_path):
    """A PATH on which curl is our stand-in."""
    command = tmp_path / "curl"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{repository}/tests/docs/curl.py" "$@"\n')
    command.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def requests(page):
    """The sh blocks that send requests, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [block for block in blocks if "curl " in block]


def test_every_request_of_the_tour_succeeds(demo_server, repository, path_with_curl):
    blocks = requests((repository / "README.md").read_text())
    assert len(blocks) >= 5
    script = "\n".join(blocks).replace(SHOWN, demo_server.root_url)
    environment = {**os.environ, "PATH": path_with_curl}
    done = subprocess.run(
        ["sh", "-e", "-c", script], cwd=repository, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert sent_matches(demo_server, script, "Task?patient=")
    assert not sent_matches(demo_server, script, "Task?patient=", status="failed"), "the timeline starts today"


def test_every_request_of_the_page_on_steps_succeeds(demo_server, repository, path_with_curl):
    blocks = requests((repository / "docs" / "steps.md").read_text())
    assert len(blocks) == 2
    script = "\n".join(blocks).replace(SHOWN, demo_server.root_url)
    environment = {**os.environ, "PATH": path_with_curl}
    done = subprocess.run(["sh", "-e", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    steps = get(demo_server, "Task?patient=walker")
    assert [step["status"] for step in steps] == ["completed", "completed"]
    (score,) = get(demo_server, "Observation?patient=walker&code=sure.total")
    assert score["valueQuantity"]["value"] == 3


def sent_matches(server, script, start, **instead):
    """What the request of the tour that starts so finds, for the patient of the tour."""
    (found,) = get(server, re.search(r"Patient\?identifier=[^']+", script)[0])
    (query,) = re.findall(re.escape(start) + r'[^"]+', script)
    query = query.replace("$patient", found["id"])
    for name, value in instead.items():
        query = re.sub(rf"&{name}=[^&]+", "", query) + f"&{name}={value}"
    return get(server, query)


def get(server, query):
    with urlopen(f"{server.root_url}/fhir/{query}", timeout=60) as answer:
        return [entry["resource"] for entry in json.load(answer).get("entry", [])]
