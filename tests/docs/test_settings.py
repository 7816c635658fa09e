"""docs/settings.md describes every setting, and none that is not there."""

import re

import pytest

from fhir_server.settings import Settings


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs" / "settings.md").read_text()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(page, name):
    assert f"`FHIR_{name.upper()}`" in page
    assert f"`--{name.replace('_', '-')}`" in page


def test_no_setting_is_invented(page):
    assert set(re.findall(r"`FHIR_([A-Z_]+)`", page)) == {name.upper() for name in Settings.model_fields}
