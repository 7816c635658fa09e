"""Print `name==version` for everything the project's dependencies brought into this environment.

Usage: python tools/pin_constraints.py > constraints.txt (make constraints)
"""

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def declared_requirements(pyproject: Path) -> list[Requirement]:
    project = tomllib.loads(pyproject.read_text())
    groups = [project["project"]["dependencies"], *project["project"]["optional-dependencies"].values()]
    groups.append(project["build-system"]["requires"])
    return [Requirement(text) for group in groups for text in group]


def applies(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras})


def installed_closure(roots: list[Requirement]) -> dict[str, str]:
    """Name -> version of the roots and all they need, for the extras asked of each."""
    versions: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    pending = [requirement for requirement in roots if applies(requirement, set())]
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            package = distribution(name)
        except PackageNotFoundError:
            sys.exit(f"{name} is declared but not installed: run make install first")
        versions[name] = package.version
        needed = [Requirement(text) for text in package.requires or []]
        pending += [r for r in needed if applies(r, requirement.extras)]
    return versions


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[1]
    pinned = installed_closure(declared_requirements(root / "pyproject.toml"))
    print("# Versions the tests passed with; made by make constraints.")
    for name, version in sorted(pinned.items()):
        print(f"{name}=={version}")
