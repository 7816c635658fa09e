"""Every package that the server imports is one that it declares."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions


def declared(repository) -> set[str]:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    extras = (found for name, found in project["optional-dependencies"].items() if name != "dev")
    requirements = [*project["dependencies"], *(one for extra in extras for one in extra)]
    return {re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-") for requirement in requirements}


def imported(repository) -> set[str]:
    """The names of third-party top-level modules, also those of imports inside functions."""
    modules: set[str] = set()
    for source in (repository / "fhir_server").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.partition(".")[0])
    return modules - set(sys.stdlib_module_names) - {"fhir_server"}


def test_all_imports_are_declared(repository):
    known = declared(repository)
    owners = packages_distributions()
    assert {
        module
        for module in imported(repository)
        if not known & {owner.lower().replace("_", "-") for owner in owners.get(module, [])}
    } == set()
